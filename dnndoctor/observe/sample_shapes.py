"""Whether the samples that a model is given are alike in shape and length: else they can't be stacked into a batch."""

from __future__ import annotations

from collections import Counter
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import torch
from torch import nn

from dnndoctor.observe.data import flat_tensors
from dnndoctor.observe.window import Window

MOST_SHAPES = 16  # of one model; more tell no more


class SampleShapes(Window):
    """Counts the shapes, batch left out, of each model's first input in training passes, and its calls in a step.

    A loop over the letters of a word calls the model as often as the word is long.
    """

    name: ClassVar[str] = "sample-shapes"

    def __init__(self, watch: Any) -> None:
        super().__init__(watch)
        self._shapes: WeakKeyDictionary[nn.Module, set[tuple[int, ...]]] = WeakKeyDictionary()
        self._calls: WeakKeyDictionary[nn.Module, Counter[int]] = WeakKeyDictionary()

    def called(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """A model is given its batch."""
        if len(self.watch.stack) != 1 or not torch.is_grad_enabled():
            return
        shapes = self._shapes.setdefault(module, set())
        tensor = next(iter(flat_tensors((args, kwargs))), None)
        if tensor is not None and len(shapes) < MOST_SHAPES:
            shapes.add(tuple(tensor.shape[1:]))
        self._calls.setdefault(module, Counter())[self.watch.step] += 1

    def facts(self) -> dict[str, Any] | None:
        """``shapes`` that one and the same model was given, ``lengths``: how many numbers of calls steps differ in."""
        if not self._shapes:
            return None
        shapes = max(len(each) for each in self._shapes.values())
        return {"shapes": shapes, "lengths": max(len(set(each.values())) for each in self._calls.values())}
