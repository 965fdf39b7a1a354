"""What one call of the model is asked and told: its inputs, and the functions from its output to the loss with all
that they are given, as a tape that can be played on a copy of the model with other samples.

Kept are copies, within bounds; the user's own tensors are let go with the backward pass.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple
from weakref import ref

import torch
from torch import nn
from torch.utils._pytree import TreeSpec, tree_flatten, tree_leaves, tree_map

from dnndoctor.observe.data import flat_tensors
from dnndoctor.observe.names import operation_name
from dnndoctor.observe.transforms import readable
from dnndoctor.observe.variables import unwrapped
from dnndoctor.observe.window import Window

if TYPE_CHECKING:
    from dnndoctor.observe.watch import Watch

MOST_BYTES = 32 * 2**20
MOST_PARAMETERS = 5_000_000
MOST_ENTRIES = 200


@dataclass(frozen=True, slots=True)
class Slot:
    """Stands for a tensor: one that was made on the way, or one that was fed from outside."""

    made: bool
    index: int


@dataclass
class Entry:
    """One function on the way to the loss; its results take the next ``results`` slots."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    first: int
    results: int


@dataclass
class Tape:
    """From ``outputs`` tensors of the model by ``entries`` to the loss in slot ``loss``."""

    outputs: int
    entries: list[Entry]
    loss: int

    @property
    def names(self) -> tuple[str, ...]:
        """The functions by name."""
        return tuple(operation_name(each.function) for each in self.entries)

    def play(self, output: Any, fed: list[torch.Tensor]) -> list[Any]:
        """All slots, from what a model put out and what the functions are fed. Raises what the functions raise."""
        made: list[Any] = list(flat_tensors(output))[: self.outputs]

        def put(value: Any) -> Any:
            return (made if value.made else fed)[value.index] if isinstance(value, Slot) else value

        for each in self.entries:
            args, kwargs = tree_map(put, each.args), tree_map(put, each.kwargs)
            made.extend(_results(each.function(*args, **kwargs)))
        return made


@dataclass
class Sample:
    """One call: the model's inputs and what the loss was fed besides its output, as copies."""

    inputs: list[Any]
    fed: list[torch.Tensor]


@dataclass
class _Open:
    """A call whose backward pass is yet to come."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    made: list[torch.Tensor] = field(default_factory=list)
    fed: list[torch.Tensor] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    outputs: int = 0
    foreign: bool = False  # something that is trained was fed from elsewhere


class Supervision(Window):
    """Tapes the calls of one model; ``reason`` says why there is no tape."""

    name: ClassVar[str] = "supervision"

    def __init__(self, watch: Watch) -> None:
        super().__init__(watch)
        self.reason = "no call of a model with a loss behind it was seen"
        self.tape: Tape | None = None
        self.spec: TreeSpec | None = None
        self.samples: list[Sample] = []
        self.first_loss: torch.Tensor | None = None
        self.random: torch.Tensor | None = None  # torch's stream as the first call found it
        self.initial: dict[str, torch.Tensor] = {}
        self.training: dict[str, bool] = {}
        self.others = 0  # backward passes that the tape does not tell of
        self.task: Any = None  # what the probes make of it
        self.overfitting: dict[str, Any] | None = None  # and what they measured first
        self._model: ref[nn.Module] | None = None
        self._open: _Open | None = None
        self._bytes = 0

    @property
    def model(self) -> nn.Module | None:
        """The model whose calls were taped, if it is still there."""
        return self._model() if self._model is not None else None

    def called(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """A model's outermost call with gradients opens a tape."""
        if len(self.watch.stack) != 1 or not torch.is_grad_enabled() or next(module.parameters(), None) is None:
            return
        inner = unwrapped(module)
        if self._model is None and not self.watch.step:
            self._model = ref(inner)
            self.training = {name: each.training for name, each in inner.named_modules()}
        self._open = None
        if self.model is inner and self._bytes < MOST_BYTES:
            self._open = _Open(args, kwargs)
            if not self.samples and not self.watch.step:
                self.random = torch.get_rng_state()

    def returned(self, _module: nn.Module, output: Any) -> None:
        """What the model put out is where the tape begins."""
        if self._open is not None and not self._open.outputs and len(self.watch.stack) == 1:
            self._open.made = flat_tensors(output)
            self._open.outputs = len(self._open.made)

    def function(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        """A function of something that was made on the way is part of it."""
        tape = self._open
        if tape is None or not tape.outputs or len(tape.entries) >= MOST_ENTRIES:
            return
        results = _results(result)
        made = {id(each): index for index, each in enumerate(tape.made)}
        tensors = [each for each in tree_leaves((args, kwargs)) if isinstance(each, torch.Tensor)]
        if not results or not any(id(each) in made for each in tensors):
            return

        def slot(value: Any) -> Any:
            if not isinstance(value, torch.Tensor):
                return value
            if id(value) in made:
                return Slot(True, made[id(value)])
            known = next((i for i, each in enumerate(tape.fed) if each is value), len(tape.fed))
            if known == len(tape.fed):
                tape.fed.append(value)
                tape.foreign = tape.foreign or value.requires_grad
            return Slot(False, known)

        entry = Entry(func, tree_map(slot, args), tree_map(slot, kwargs), len(tape.made), len(results))
        tape.entries.append(entry)
        tape.made.extend(results)

    def before_backward(self, roots: list[torch.Tensor]) -> None:
        """Here the tape ends."""
        tape, self._open = self._open, None
        if tape is None:
            self.others += self._bytes < MOST_BYTES
            return
        made = {id(each): index for index, each in enumerate(tape.made)}
        if len(roots) != 1 or id(roots[0]) not in made or roots[0].numel() != 1:
            self.others += 1
            self.reason = "what backward runs on is not made from the output of one call of the model alone"
            return
        taped = _pruned(tape, made[id(roots[0])])
        fed = [tape.fed[i] for i in taped.used]
        if tape.foreign and any(each.requires_grad for each in fed):
            self.others += 1
            self.reason = "the loss has a part that does not come from one call of the model"
            return
        self._keep(tape, taped.tape, fed, roots[0])

    def _keep(self, tape: _Open, found: Tape, fed: list[torch.Tensor], root: torch.Tensor) -> None:
        inputs, spec = tree_flatten((tape.args, tape.kwargs))
        tensors = [each for each in (*inputs, *fed) if isinstance(each, torch.Tensor)]
        if not all(readable(each) and each.layout is torch.strided for each in tensors):
            self.reason = "the model or its loss is given tensors that cannot be copied"
            return
        if self.tape is None:
            self.tape, self.spec, self.first_loss = found, spec, root.detach()
        elif self.tape.names != found.names or self.spec != spec:
            self.others += 1
            return
        copies = [each.detach().clone() if isinstance(each, torch.Tensor) else each for each in inputs]
        self.samples.append(Sample(copies, [each.detach().clone() for each in fed]))
        self._bytes += sum(each.nbytes for each in tensors)

    def before_step(self, _optimizer: torch.optim.Optimizer) -> None:
        """Before the first step: the model's first values."""
        model = self.model
        if self.watch.step or self.initial or model is None or self.tape is None:
            return
        values = {**dict(model.named_parameters()), **dict(model.named_buffers())}
        if not all(readable(each) for each in values.values()):
            self.reason = "the model's parameters cannot be copied"
        elif sum(each.numel() for each in values.values()) > MOST_PARAMETERS:
            self.reason = (
                f"the model has more than {MOST_PARAMETERS:,} parameters: training copies of it takes too long"
            )
        else:
            self.initial = {name: each.detach().clone() for name, each in values.items()}


class _Pruned(NamedTuple):
    tape: Tape
    used: list[int]  # of what was fed


def _pruned(tape: _Open, loss: int) -> _Pruned:
    """Only what leads to the loss, with its slots numbered anew."""
    needed, entries = {loss}, []
    for each in reversed(tape.entries):
        if needed & set(range(each.first, each.first + each.results)):
            entries.append(each)
            needed |= {slot.index for slot in _slots(each) if slot.made}
    entries.reverse()
    used = sorted({slot.index for each in entries for slot in _slots(each) if not slot.made})
    numbers, count = {i: i for i in range(tape.outputs)}, tape.outputs
    for each in entries:
        numbers |= {each.first + i: count + i for i in range(each.results)}
        count += each.results
    fed = {old: new for new, old in enumerate(used)}

    def renamed(value: Any) -> Any:
        return Slot(value.made, (numbers if value.made else fed)[value.index]) if isinstance(value, Slot) else value

    again = [
        Entry(e.function, tree_map(renamed, e.args), tree_map(renamed, e.kwargs), numbers[e.first], e.results)
        for e in entries
    ]
    return _Pruned(Tape(tape.outputs, again, numbers[loss]), used)


def _slots(entry: Entry) -> list[Slot]:
    return [each for each in tree_leaves((entry.args, entry.kwargs)) if isinstance(each, Slot)]


def _results(value: Any) -> list[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, (tuple, list)):
        return [each for each in value if isinstance(each, torch.Tensor)]
    return []
