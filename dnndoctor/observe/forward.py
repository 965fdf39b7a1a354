"""The forward pass as it happens: every torch operation, what fed it, and a sample of what it gave.

A ``TorchFunctionMode`` sees modules and functional calls alike. It lies at the bottom of the stack of
modes from the script's start, so that no mode of the user's is ever popped in its place, and does
nothing until it is switched on.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from weakref import ref

import torch
from torch._C import _len_torch_function_stack, _pop_torch_function_stack, _push_on_torch_function_stack
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode

from dnndoctor.findings import Location
from dnndoctor.observe import sampling
from dnndoctor.observe.names import operation_name
from dnndoctor.observe.source import caller, is_user_class
from dnndoctor.observe.transforms import readable, transformed
from dnndoctor.recording import operations

MOST_OPERATIONS = 1500
MOST_CHECKED = 400
MOST_REPEATS = 48  # of one line: layers in a loop; an unrolled recurrence may have more steps
_BOOKKEEPING = frozenset(("zero_", "requires_grad_"))
_ATTRIBUTES = ("dim", "reduction", "label_smoothing", "ignore_index", "p", "training", "approximate")
RISKY = frozenset("log log2 log10 log1p sqrt rsqrt div pow exp reciprocal acos asin atanh".split())
_POSITIONAL = {"softmax": ("dim",), "log_softmax": ("dim",)} | dict.fromkeys(operations.DROPOUTS, ("p", "training"))


Made = dict[int, tuple[ref[torch.Tensor], int]]  # by the tensor's id: the tensor and the operation that made it


@dataclass
class Operation:
    """One place in the forward pass; seen again in later steps under the same ``key``."""

    index: int
    name: str
    module: str
    module_class: str
    location: Location | None
    call: Location | None
    inputs: tuple[int, ...]
    parameters: tuple[str, ...]
    shape: tuple[int, ...]
    differentiable: bool
    attributes: dict[str, Any] = field(default_factory=dict)
    input_shape: tuple[int, ...] = ()


@dataclass
class Watched:
    """What one step keeps on the device until its end: samples and largest magnitudes, by operation."""

    samples: dict[int, torch.Tensor] = field(default_factory=dict)
    largest: list[tuple[int, torch.Tensor]] = field(default_factory=list)
    gradients: list[tuple[int, int, torch.Tensor]] = field(default_factory=list)
    targets: dict[int, torch.Tensor] = field(default_factory=dict)
    values: dict[int, torch.Tensor] = field(default_factory=dict)


class _Handling(threading.local):
    """How many calls this thread is inside of: each thread has a stack of modes of its own."""

    depth = 0


class ForwardWatch(TorchFunctionMode):
    """Records the operations of training passes while ``active``."""

    def __init__(
        self,
        module_now: Callable[[], tuple[str, Any, Location | None]],
        met: Callable[[torch.Tensor | None, list[torch.Tensor]], None],
        fail: Callable[[Exception], None],
    ) -> None:
        super().__init__()
        self.active = False
        self._handling = _Handling()
        self.note: Callable[..., None] = lambda *_: None  # told of every function, gradients or not
        self.raised: Callable[..., None] = lambda *_: None  # told of every function that raised
        self.sampling = True
        self.step = Watched()
        self.operations: list[Operation] = []
        self.complete = True
        self._module_now = module_now
        self._met = met
        self._fail = fail
        self._by_key: dict[tuple[Any, ...], int] = {}
        self._count: dict[tuple[Any, ...], int] = {}
        self._made: Made = {}
        self._discrete: Made = {}
        self.parameter_names: dict[int, str] = {}
        self.before_use: Callable[[Callable[..., Any], tuple[Any, ...]], None] | None = None

    def __enter__(self) -> ForwardWatch:
        """Lie at the bottom of this thread's stack of modes: what a script pops is then never this one.

        While a call is handled here, torch has taken the mode from the stack and will put it back by itself.
        """
        if self._handling.depth:
            return self
        above = [_pop_torch_function_stack() for _ in range(_len_torch_function_stack())]
        if self not in above:
            _push_on_torch_function_stack(self)
        for mode in reversed(above):
            _push_on_torch_function_stack(mode)
        return self

    def engage(self, active: bool = True) -> None:
        """Look from now on, if ``active``."""
        self.active = active
        if active or self.before_use is not None:
            self.__enter__()

    def release(self) -> None:
        """Do not look, and be out of the way of what makes many calls: an optimizer's step, a backward pass."""
        self.active = False
        self.__exit__()

    def __exit__(self, *_: object) -> None:
        """Out of this thread's stack of modes, wherever it lies. A mode costs each torch call two microseconds."""
        if self._handling.depth:
            return
        above = [_pop_torch_function_stack() for _ in range(_len_torch_function_stack())]
        for mode in reversed(above):
            if mode is not self:
                _push_on_torch_function_stack(mode)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        self._handling.depth += 1
        try:
            return self._handle(func, args, kwargs)
        finally:
            self._handling.depth -= 1

    def _handle(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any] | None) -> Any:
        if self.before_use is not None:
            self.before_use(func, args)
        try:
            result = func(*args, **kwargs) if kwargs else func(*args)
        except Exception:
            if self.active:
                self._tell_raised(func, args, kwargs or {})
            raise
        if self.active and not transformed():
            self.active = False  # what looking calls is not itself looked at
            try:
                self.note(func, args, kwargs or {}, result)
                if torch.is_grad_enabled():
                    self._see(func, args, kwargs or {}, result)
                else:
                    self._see_evaluation(args)
                self.active = True
            except Exception as bug:  # noqa: BLE001 - a bug of ours must not become one of the user's
                self._fail(bug)
        return result

    def _tell_raised(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.active = False
        try:
            self.raised(func, args, kwargs)
        except Exception as bug:  # noqa: BLE001 - a bug of ours must not become one of the user's
            self._fail(bug)
        self.active = True

    def begin(self) -> None:
        """Start a new step."""
        self.step = Watched()
        self._count.clear()
        self._made.clear()
        self._discrete.clear()

    def put_aside(self) -> tuple[Any, ...]:
        """What was seen since ``begin``; the watch begins anew."""
        kept = (self.step, dict(self._count), dict(self._made))
        self.begin()
        return kept

    def take_back(self, kept: tuple[Any, ...]) -> None:
        """Go on from what was put aside."""
        self.step, self._count, self._made = kept

    def output_bytes(self) -> int:
        """What the outputs of all operations of a pass take together, in bytes; an upper bound of the activations."""
        return sum(4 * math.prod(each.shape) for each in self.operations)

    def forget(self) -> None:
        """Start over: no operation was seen."""
        self.operations.clear()
        self._by_key.clear()
        self.begin()

    def maker(self, tensor: torch.Tensor) -> int | None:
        """The operation of this step that made the tensor."""
        return _maker(self._made, tensor)

    def _makers(self, tensors: list[torch.Tensor], made: Made | None = None) -> tuple[int, ...]:
        known = self._made if made is None else made
        return tuple(dict.fromkeys(i for each in tensors if (i := _maker(known, each)) is not None))

    def _see_discrete(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], output: torch.Tensor
    ) -> None:
        """Whole numbers and truths made of a signal: followed only where they become numbers again, not as masks."""
        name = operation_name(func)
        if name not in operations.DISCRETE and (name not in operations.SHAPE_ONLY or not self._discrete):
            return
        tensors = list(_tensors(args))
        inputs = self._makers([each for each in tensors if each.requires_grad]) or self._makers(tensors, self._discrete)
        if not inputs:
            return
        index = self._index(func, args, kwargs, tensors, inputs, (), output)
        if index is not None:
            self._discrete[id(output)] = (ref(output), index)

    def _see(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        output = _first_tensor(result)
        if output is None and isinstance(args[0] if args else None, torch.Tensor) and result is None:
            output = args[0] if operation_name(func) == "setitem" else None
        if output is None or not readable(output) or output.layout is not torch.strided:
            return
        if not output.is_floating_point():
            self._see_discrete(func, args, kwargs, output)
            return
        tensors = [each for each in (*_tensors(args), *_tensors(kwargs.values())) if not is_lazy(each)]
        inputs = self._makers(tensors)
        if not inputs and self._discrete and operation_name(func) in operations.SHAPE_ONLY:
            inputs = self._makers(tensors, self._discrete)
        held = [each for each in tensors if id(each) in self.parameter_names]
        parameters = tuple(self.parameter_names[id(each)] for each in held)
        if held and not inputs and operation_name(func) in operations.COPYING:
            self._made_copy(self._index(func, args, kwargs, tensors, (), parameters, output), output)
            return
        name = getattr(func, "__name__", "")
        if not inputs and (name in _BOOKKEEPING or (name == "__get__" and not output.requires_grad)):
            return  # p.grad, p.requires_grad_(): no part of a forward pass
        met = bool(held) and output.requires_grad
        if met:
            data = [each for each in tensors if not each.requires_grad and self.maker(each) is None]
            self._met(held[0], data)
        try:
            self._note(func, args, kwargs, result, output, tensors, inputs, parameters)
        finally:
            if met:
                self._met(None, [])

    def _see_evaluation(self, args: tuple[Any, ...]) -> None:
        """Without gradients only who is called is of interest, where the layers are called by their ``forward``."""
        held = next((each for each in _tensors(args) if id(each) in self.parameter_names), None)
        if held is not None:
            self._met(held, [])
            self._met(None, [])

    def _note(
        self,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        result: Any,
        output: torch.Tensor,
        tensors: list[torch.Tensor],
        inputs: tuple[int, ...],
        parameters: tuple[str, ...],
    ) -> None:
        if not inputs and not output.requires_grad and not self._matters(func, output):
            return
        index = self._index(func, args, kwargs, tensors, inputs, parameters, output)
        if index is None:
            return
        for each in _tensors((result,)) if not isinstance(result, torch.Tensor) else (output,):
            self._made[id(each)] = (ref(each), index)
        self._measure(index, output, tensors)

    def _made_copy(self, index: int | None, copy: torch.Tensor) -> None:
        if index is not None:
            self._made[id(copy)] = (ref(copy), index)

    def _matters(self, func: Callable[..., Any], output: torch.Tensor) -> bool:
        """Data on its way: inside of a module, or where a function of limited domain made it non-finite."""
        if self._module_now()[1] is not None:
            return True
        risky = operation_name(func) in RISKY and output.numel() > 0
        return risky and not bool(torch.isfinite(sampling.largest(output)))

    def _index(
        self,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        tensors: list[torch.Tensor],
        inputs: tuple[int, ...],
        parameters: tuple[str, ...],
        output: torch.Tensor,
    ) -> int | None:
        name = operation_name(func)
        path, module, built = self._module_now()
        call = caller()
        place = (path, name, call)
        repeat = self._count.get(place, 0)
        self._count[place] = repeat + 1
        key = (*place, min(repeat, MOST_REPEATS))
        known = self._by_key.get(key)
        if known is not None:
            return known
        if len(self.operations) >= MOST_OPERATIONS:
            self.complete = False
            return None
        library = module is not None and not is_user_class(type(module)) and name not in operations.COPYING
        index = len(self.operations)
        self._by_key[key] = index
        self.operations.append(
            Operation(
                index,
                name,
                path,
                type(module).__name__ if module is not None else "",
                built if library and built is not None else call,
                call,
                inputs,
                parameters,
                tuple(output.shape),
                output.requires_grad,
                _attributes(name, args, kwargs),
                tuple(tensors[0].shape) if tensors else (),
            )
        )
        return index

    def _measure(self, index: int, output: torch.Tensor, tensors: list[torch.Tensor]) -> None:
        step, name = self.step, self.operations[index].name
        if len(step.largest) < MOST_CHECKED and output.numel():
            step.largest.append((index, sampling.largest(output)))
            if output.requires_grad and output.grad_fn is not None:
                output.grad_fn.register_prehook(_gradient_reader(step, index))
        if name in operations.LOSSES:
            step.values[index] = output.detach().mean().float()
            if len(tensors) > 1 and index not in step.targets:
                step.targets[index] = tensors[1].detach()
        if self.sampling and index not in step.samples and _is_sampled(name):
            source = output.detach()
            channels = name in operations.CONVOLUTIONS or (
                source.dim() >= 4 and name in operations.ACTIVATIONS | operations.NORMS
            )
            step.samples[index] = sampling.unit_sample(source, channels).float().clone()


def _maker(made: Made, tensor: torch.Tensor) -> int | None:
    found = made.get(id(tensor))
    return found[1] if found is not None and found[0]() is tensor else None


def _is_sampled(name: str) -> bool:
    return name in operations.ACTIVATIONS or name in operations.WEIGHTED or name in operations.NORMS


def _gradient_reader(step: Watched, index: int) -> Callable[[tuple[torch.Tensor, ...]], None]:
    def read(grads: tuple[torch.Tensor, ...]) -> None:
        grad = next((g for g in grads if isinstance(g, torch.Tensor)), None)
        if grad is not None and grad.layout is torch.strided and grad.numel():
            step.gradients.append((index, grad.numel(), torch.linalg.vector_norm(grad.detach()).float()))

    return read


def _first_tensor(value: Any) -> torch.Tensor | None:
    if isinstance(value, torch.Tensor):
        return value
    if isinstance(value, (tuple, list)):
        return next((each for each in value if isinstance(each, torch.Tensor)), None)
    return None


def _tensors(values: Iterable[Any]) -> Iterator[torch.Tensor]:
    for each in values:
        if isinstance(each, torch.Tensor):
            yield each
        elif isinstance(each, (tuple, list)):
            yield from _tensors(each)


def _attributes(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    found = {key: kwargs[key] for key in _ATTRIBUTES if isinstance(kwargs.get(key), (int, float, str, bool))}
    for position, key in enumerate(_POSITIONAL.get(name, ()), start=1):
        if len(args) > position and isinstance(args[position], (int, float, bool)):
            found[key] = args[position]
    if kwargs.get("weight") is not None and name in operations.LOSSES:
        found["class_weights"] = True
    if kwargs.get("pos_weight") is not None:
        found["class_weights"] = True
    if name in operations.LOSSES and len(args) > 2 and isinstance(args[2], torch.Tensor):
        found["class_weights"] = True
    return found
