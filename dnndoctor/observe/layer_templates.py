"""Where transformer layers are built that are then copied: the copies know no line of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from dnndoctor.observe.window import Window

if TYPE_CHECKING:
    from dnndoctor.findings import Location
    from dnndoctor.observe.watch import Watch

_COPIED = (nn.TransformerEncoderLayer, nn.TransformerDecoderLayer)


class LayerTemplates(Window):
    """The lines by the layer's class; it has no facts of its own."""

    name = "layer-templates"

    def __init__(self, watch: Watch) -> None:
        super().__init__(watch)
        self._built: dict[type, set[Location]] = {}

    def module_built(self, module: nn.Module, location: Location | None) -> None:
        """Note the line."""
        if isinstance(module, _COPIED) and location is not None:
            self._built.setdefault(type(module), set()).add(location)

    def of(self, module: nn.Module) -> Location | None:
        """The one line at which layers of this class were built; None where there are several."""
        found = self._built.get(type(module)) or set()
        return next(iter(found)) if len(found) == 1 else None
