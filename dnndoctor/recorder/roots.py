"""Which modules are trained: found from the parameters that an optimizer holds, without a hook on all modules."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterable, Iterator, MutableMapping
from typing import Any

import torch
from torch import nn
from torch.utils.weak import WeakIdKeyDictionary

from dnndoctor.findings import Location

LOADS_OF_A_TARGET = 2  # this project's choice: the first may be of a checkpoint


class Known:
    """The modules of the program: those that were noted as they were built, else whatever lives."""

    def __init__(self) -> None:
        self._places: MutableMapping[Any, Location | None] = WeakIdKeyDictionary()
        self.loaded: MutableMapping[Any, None] = WeakIdKeyDictionary()  # modules whose weights came from elsewhere
        self.iterated: Location | None = None  # where the loader was built that gives batches
        # What was built while something trained; of optimizers whether they hold just that, once somebody has asked.
        self.late: MutableMapping[Any, bool | None] = WeakIdKeyDictionary()
        # Loads, while something trained, of weights into modules; copies of what is trained are loaded again and again.
        self.loads: MutableMapping[Any, int] = WeakIdKeyDictionary()
        self._training = False
        self.complete = False  # noting began before the program built any

    def note(self, one: Any, place: Location | None) -> None:
        """A module or an optimizer has just been built, in this line of the user's."""
        self._places[one] = place
        if self._training:
            self.late[one] = None

    def begin_training(self) -> None:
        """The first step of a training: what is built from now on is not a part of it."""
        self._training = True
        self.late.clear()

    def note_loaded(self, module: nn.Module) -> None:
        """Weights were loaded into it."""
        if self._training:
            self.loads[module] = self.loads.get(module, 0) + 1
        for each in module.modules():
            self.loaded[each] = None

    def has_target_network(self, trained: Iterable[nn.Module]) -> bool:
        """Whether a copy of what is trained, that is not trained itself, takes over its weights time and again."""
        inside = {id(module) for root in trained for module in root.modules()}
        return any(count >= LOADS_OF_A_TARGET for each, count in self.loads.items() if id(each) not in inside)

    def place(self, one: Any) -> Location | None:
        """Where it was built, if that was seen."""
        return self._places.get(one)

    def _living(self) -> list[nn.Module]:
        if self.complete:
            return [each for each in self._places if isinstance(each, nn.Module)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of objects that complain when they are asked for their class
            return [each for each in gc.get_objects() if issubclass(type(each), nn.Module)]

    def roots(self, parameters: Iterable[torch.Tensor]) -> list[nn.Module]:
        """The outermost modules that together hold the parameters; the largest first.

        A module that holds none but those that another one holds too is left over from an earlier training.
        """
        wanted = {id(each) for each in parameters}
        holders = {each: held for each in self._living() if (held := {id(p) for p in each.parameters()} & wanted)}
        inner = {id(child) for each in holders for child in each.modules() if child is not each}
        outermost = [each for each in reversed(holders) if id(each) not in inner]  # the newest first
        found, covered = [], set[int]()
        for each in sorted(outermost, key=lambda one: -len(holders[one])):
            if holders[each] - covered:
                covered |= holders[each]
                found.append(each)
        return sorted(found, key=lambda each: -sum(p.numel() for p in each.parameters()))


def named_parameters(roots: Iterable[nn.Module], held: Iterable[torch.Tensor]) -> list[tuple[str, torch.Tensor]]:
    """Everything trainable, by its path in its module; what no module holds is numbered."""
    return list(_named(roots, held))


def _named(roots: Iterable[nn.Module], held: Iterable[torch.Tensor]) -> Iterator[tuple[str, torch.Tensor]]:
    known: set[int] = set()
    names: set[str] = set()
    for root in roots:
        for name, each in root.named_parameters():
            if id(each) not in known:
                known.add(id(each))
                unique = name if name not in names else f"{type(root).__name__}.{name}"
                names.add(unique)
                yield unique, each
    for number, loose in enumerate(held):
        if id(loose) not in known:
            known.add(id(loose))
            yield f"parameter{number}", loose
