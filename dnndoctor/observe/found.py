"""The training loop that was found: its models by the names that the script has for them, and who trains which."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any
from weakref import ref

from torch import nn
from torch.utils.weak import WeakIdKeyDictionary

from dnndoctor.observe.variables import class_name, names_of, unwrapped
from dnndoctor.recording import operations

if TYPE_CHECKING:
    from dnndoctor.observe.steps import OptimizerFacts
    from dnndoctor.observe.watch import Watch


class Found:
    """Models and optimizers, noted while the script runs: at its end its variables are gone."""

    def __init__(self) -> None:
        self._rows: dict[int, dict[str, Any]] = {}
        self._alive: dict[int, ref[nn.Module]] = {}
        self._held: dict[int, list[OptimizerFacts]] = {}  # their indices change as another takes the lead
        self._names: MutableMapping[nn.Module, str] = WeakIdKeyDictionary()

    def facts(self, watch: Watch) -> dict[str, Any]:
        """Plain facts: every model that was trained or called, and the models of every optimizer, by index."""
        self.note(watch)
        numbers = {key: number for number, key in enumerate(self._rows)}
        return {
            "models": [
                {**row, "alive": self._alive[key]() is not None, "optimizers": [each.index for each in self._held[key]]}
                for key, row in self._rows.items()
            ],
            "optimizers": [
                [numbers[key] for key in self._rows if any(one is each for one in self._held[key])]
                for each in watch.optimizers
            ],
            "losses": {
                str(each.index): each.call for each in watch.forward.operations if each.name in operations.LOSSES
            },
        }

    def note(self, watch: Watch) -> None:
        """Look who is there now, and what they are called."""
        models = {id(inner): (top, inner) for top in _tops(watch) for inner in [unwrapped(top)]}
        unnamed = [key for key, (_, inner) in models.items() if inner not in self._names]
        names = names_of([each for key in unnamed for each in models[key]])
        for top, inner in (models[key] for key in unnamed):
            name = names.get(id(inner)) or names.get(id(top))
            if name:
                self._names[inner] = name
        for top, inner in self._distinct(models):
            self._note_model(watch, top, inner)

    def _distinct(self, models: dict[int, tuple[nn.Module, nn.Module]]) -> list[tuple[nn.Module, nn.Module]]:
        """Of modules with the same parameters, the one that has a name: a scripted module's original lives on."""
        found: dict[frozenset[int], tuple[nn.Module, nn.Module]] = {}
        for top, inner in models.values():
            key = frozenset(map(id, inner.parameters()))
            if key not in found or (inner in self._names and found[key][1] not in self._names):
                found[key] = (top, inner)
        return list(found.values())

    def _note_model(self, watch: Watch, top: nn.Module, inner: nn.Module) -> None:
        parameters = list(inner.parameters())
        if not parameters:
            return
        mine = {id(p) for p in parameters}
        held = [each for each in watch.optimizers if mine & _held(each)]
        trained = {key for each in held for key in _held(each)} & mine
        called = any(each in watch.signs.called or each in watch.root_inputs for each in (top, inner))
        inside = any(watch.modules.top(each) is top for each in watch.signs.called)
        key = next((k for k, each in self._alive.items() if each() is inner), None)
        if not trained and not called and not inside:
            return
        key = len(self._rows) if key is None else key
        self._alive[key], self._held[key] = ref(inner), held
        self._rows[key] = {
            "name": self._names.get(inner) or (self._rows.get(key) or {}).get("name") or "",
            "class": class_name(inner),
            "prefix": watch.modules.path(top),
            "parameters": sum(p.numel() for p in parameters),
            "trainable": sum(p.numel() for p in parameters if id(p) in trained and p.requires_grad),
            "location": watch.modules.location(inner) or watch.modules.location(top),
        }


def _held(facts: OptimizerFacts) -> set[int]:
    return {id(p) for p in facts.parameters()}


def _tops(watch: Watch) -> list[nn.Module]:
    """The outermost modules, without those that another one's wrapper holds."""
    watch.modules.index()
    return list(watch.modules.tops)
