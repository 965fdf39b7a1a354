"""Another p in the dropout layers of a model, for one trial."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn


class Dropouts:
    """Sets p, and puts back what the layers had. Layers with p = 0 keep it: they were switched off on purpose."""

    def __init__(self) -> None:
        self._had: list[tuple[nn.Module, str, float]] = []

    def set(self, modules: Iterable[nn.Module], p: float) -> None:
        """Give this p to each of these that drops anything."""
        for module in modules:
            attribute = attribute_of(module)
            if attribute is not None:
                self._had.append((module, attribute, float(getattr(module, attribute))))
                setattr(module, attribute, p)

    def put_back(self) -> None:
        """Give each its own again."""
        while self._had:
            module, attribute, p = self._had.pop()
            setattr(module, attribute, p)


def attribute_of(module: nn.Module) -> str | None:
    """The attribute that holds the p of an active dropout; None where the module drops nothing."""
    if isinstance(module, nn.modules.dropout._DropoutNd):
        return "p" if module.p > 0 else None
    if isinstance(module, (nn.MultiheadAttention, nn.RNNBase)):
        return "dropout" if module.dropout > 0 else None
    return None
