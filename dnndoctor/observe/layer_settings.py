"""What layers were told when they were built: a norm's epsilon, a dropout's rate, a recurrent layer's shape."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

from torch import nn
from torch.nn.modules.dropout import _DropoutNd
from torch.utils.weak import WeakIdKeyDictionary

from dnndoctor.observe.window import Window

if TYPE_CHECKING:
    from dnndoctor.observe.watch import Watch

MOST_LAYERS = 500
_KINDS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.RNNBase, _DropoutNd)
_SETTINGS = tuple("eps momentum affine p inplace num_layers hidden_size dropout bidirectional batch_first".split())


class LayerSettings(Window):
    """Of norm, recurrent and dropout layers of every model, in the order of their registration."""

    name = "layer-settings"

    def __init__(self, watch: Watch) -> None:
        super().__init__(watch)
        self._called: set[str] = set()
        self._models: MutableMapping[nn.Module, None] = WeakIdKeyDictionary()

    def called(self, module: nn.Module, _args: tuple[Any, ...], _kwargs: dict[str, Any]) -> None:
        """Note that a dropout was used at all, and which models were."""
        if isinstance(module, _DropoutNd):
            self._called.add(self.watch.modules.path(module))
        elif len(self.watch.stack) == 1:
            self._models[module] = None

    def facts(self) -> dict[str, Any] | None:
        """One entry for each layer: path, class, line and settings; of a dropout whether its model left it out."""
        modules = self.watch.modules
        found: dict[str, dict[str, Any]] = {}
        for top in modules.tops:
            for module in top.modules():
                if isinstance(module, _KINDS) and len(found) < MOST_LAYERS:
                    path = modules.path(module)
                    found[path] = {
                        "class": type(module).__name__,
                        "location": modules.location(module),
                        "called": path in self._called or top not in self._models,
                        "settings": _settings(module),
                    }
        return {"layers": found} if found else None


def _settings(module: nn.Module) -> dict[str, Any]:
    given = {key: getattr(module, key, None) for key in _SETTINGS}
    return {key: value for key, value in given.items() if isinstance(value, (int, float))}
