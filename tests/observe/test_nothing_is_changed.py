"""Observing changes nothing that a program could notice: its numbers, tensors, modes, random streams and exceptions."""

from __future__ import annotations

import contextlib
import hashlib
import math
import random
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional
from torch.nn.modules import module as module_hooks
from torch.utils.data import DataLoader, TensorDataset

from dnndoctor.observe.watch import Watch
from dnndoctor.probes.conductor import Conductor
from dnndoctor.recording.writer import Writer
from dnndoctor.subject.hooks import install

Trace = list[Any]
STEPS = 3


@contextlib.contextmanager
def watched(folder: Path) -> Iterator[Watch]:
    """Everything hangs in torch, as in an examination without probes."""
    (folder / "x.dnnrec").unlink(missing_ok=True)
    writer = Writer(str(folder / "x.dnnrec"))
    watch = Watch(writer)
    conductor = Conductor(watch, steps=10**6, probes=False, deadline=math.inf, report=lambda *_: None)
    installed = install(watch, conductor)
    try:
        with watch.forward:
            yield watch
    finally:
        installed.remove()
        writer.close()


@dataclass(frozen=True)
class Program:
    """A training program, drawn at random."""

    kind: str
    dtype: torch.dtype
    activation: str
    norm: bool
    dropout: float
    optimizer: str
    autocast: bool
    channels_last: bool
    frozen: bool
    evaluates: bool
    loader: bool
    accumulates: bool

    def run(self) -> Trace:
        """Train for a few steps, and tell everything that can be told."""
        torch.manual_seed(1)
        random.seed(1)
        np.random.seed(1)
        model = Net(self).to(self.dtype)
        if self.frozen:
            next(model.parameters()).requires_grad_(False)
        optimizer = OPTIMIZERS[self.optimizer]([p for p in model.parameters() if p.requires_grad])
        trace: Trace = []
        for x, y in self.batches():
            if self.channels_last and x.dim() == 4:
                x = x.contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16, enabled=self.autocast):
                out = model(x + 0.01 * random.random())
                loss: Any = functional.cross_entropy(out.float(), y)
                trace += [torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu"), *facts(out), *facts(loss)]
            loss.backward()
            if not (self.accumulates and len(trace) % 2):
                trace += [None if p.grad is None else facts(p.grad) for p in model.parameters()]
                optimizer.step()
                optimizer.zero_grad()
            if self.evaluates:
                with torch.no_grad():
                    trace += facts(model(x))
            trace += self.surroundings(model, optimizer)
        return trace

    def batches(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Data of the right shape, from a loader or by hand."""
        n = 8 * STEPS
        shape = {"dense": (n, 6), "conv": (n, 3, 5, 5), "recurrent": (n, 4, 6)}[self.kind]
        x, y = torch.randn(shape, dtype=self.dtype), torch.randint(3, (n,))
        if self.loader:
            yield from DataLoader(TensorDataset(x, y), batch_size=8, shuffle=True)
        else:
            yield from zip(torch.split(x, 8), torch.split(y, 8), strict=True)

    def surroundings(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> Trace:
        """What lies around the tensors: modes, hooks, flags, states, random streams."""
        return [
            torch.is_grad_enabled(),
            torch.is_inference_mode_enabled(),
            torch.is_autocast_enabled("cpu"),
            torch.get_default_dtype(),
            [
                (m.training, len(m._forward_hooks), len(m._forward_pre_hooks), len(m._backward_hooks))
                for m in model.modules()
            ],
            [(facts(p), p.is_leaf, p._backward_hooks, p._version) for p in model.parameters()],
            [sorted(vars(m)) for m in model.modules()],
            [facts(b) for b in model.buffers()],
            [facts(v) if isinstance(v, torch.Tensor) else v for s in optimizer.state.values() for v in s.values()],
            [{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups],
            streams(),
        ]


class Net(nn.Module):
    def __init__(self, program: Program) -> None:
        super().__init__()
        self.program = program
        self.first: nn.Module
        norm: nn.Module
        if program.kind == "dense":
            self.first, norm = nn.Linear(6, 8), nn.BatchNorm1d(8)
        elif program.kind == "conv":
            self.first, norm = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)
        else:
            self.first, norm = nn.GRU(6, 8, batch_first=True), nn.LayerNorm(8)
        self.norm = norm if program.norm else nn.Identity()
        self.drop = nn.Dropout(program.dropout)
        self.last = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.first(x)
        h = h[0] if isinstance(h, tuple) else h
        h = self.drop(ACTIVATIONS[self.program.activation](self.norm(h)))
        while h.dim() > 2:
            h = h.mean(-2 if self.program.kind == "recurrent" else -1)
        out: torch.Tensor = self.last(h)
        return out


ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "relu": torch.relu,
    "in place": lambda h: functional.relu(h, inplace=True),
    "method": lambda h: h.sigmoid(),
    "written out": lambda h: h * torch.tanh(h.exp().log1p()),
    "random": lambda h: functional.rrelu(h, training=True),
    "out": lambda h: torch.tanh(h.detach(), out=torch.empty_like(h.detach())) + h,
}
OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, amsgrad=True),
    "fused": lambda p: torch.optim.Adam(p, lr=0.01, fused=True),
    "adagrad": lambda p: torch.optim.Adagrad(p, lr=0.1),
}


def facts(tensor: torch.Tensor) -> Trace:
    """A tensor to its last bit, with how it lies in memory and what autograd knows of it."""
    raw = tensor.detach().contiguous().view(torch.uint8).numpy().tobytes() if tensor.dim() else tensor.item()
    made_by = type(tensor.grad_fn).__name__
    return [
        raw,
        tensor.dtype,
        tensor.stride(),
        tensor.requires_grad,
        made_by,
        type(tensor).__name__,
        tensor.is_inference(),
    ]


def streams() -> str:
    """The state of every random stream."""
    state = np.random.get_state()
    parts = (torch.get_rng_state().numpy().tobytes(), repr(random.getstate()), state[1].tobytes(), state[2:])  # type: ignore[index]
    return hashlib.sha256(repr(parts).encode()).hexdigest()


PROGRAMS = st.builds(
    Program,
    kind=st.sampled_from(("dense", "conv", "recurrent")),
    dtype=st.sampled_from((torch.float32, torch.float64, torch.bfloat16)),
    activation=st.sampled_from(sorted(ACTIVATIONS)),
    norm=st.booleans(),
    dropout=st.sampled_from((0.0, 0.4)),
    optimizer=st.sampled_from(sorted(OPTIMIZERS)),
    autocast=st.booleans(),
    channels_last=st.booleans(),
    frozen=st.booleans(),
    evaluates=st.booleans(),
    loader=st.booleans(),
    accumulates=st.booleans(),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(program=PROGRAMS)
def test_a_program_cannot_tell_that_it_is_watched(program: Program, tmp_path: Path) -> None:
    alone = program.run()
    with watched(tmp_path) as watch:
        observed = program.run()
    assert watch.failure is None
    assert watch.step > 0
    assert len(observed) == len(alone)
    for number, (one, other) in enumerate(zip(observed, alone, strict=True)):
        assert one == other, f"entry {number} of the trace"


class Trouble(Exception):
    """The program's own exception."""


def trouble() -> None:
    raise Trouble("spilled", 3)


class Thrower(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> Any:
        trouble()


class BrokenSet(TensorDataset):
    def __getitem__(self, index: int) -> Any:
        if index == 5:
            trouble()
        return tuple(each[index] for each in self.tensors)


class BrokenSGD(torch.optim.SGD):
    def step(self, closure: Any = None) -> Any:
        trouble()


def _train(
    model: nn.Module,
    broken: str = "",
    optimizer_class: type[torch.optim.Optimizer] = torch.optim.SGD,
    data_class: type[TensorDataset] = TensorDataset,
) -> None:
    torch.manual_seed(0)
    optimizer = optimizer_class(model.parameters(), lr=0.1)  # type: ignore[call-arg]
    for (x,) in DataLoader(data_class(torch.randn(8, 4)), batch_size=2):

        def closure(x: torch.Tensor = x) -> Any:
            optimizer.zero_grad()
            loss: Any = model(x).square().mean()
            if broken == "closure":
                trouble()
            loss.backward()
            return loss

        if broken == "shapes":
            model(x[:, :3])
        elif broken == "backward twice":
            loss = closure()
            loss.backward()
        elif broken == "no gradient":
            summed: Any = x.sum()
            summed.backward()
        elif broken == "in place":
            weight = next(model.parameters())
            loss = (weight * weight).sum()
            weight.data.mul_(2)
            weight.requires_grad_().mul_(2)
        elif broken == "interrupt":
            closure()
            raise KeyboardInterrupt
        optimizer.step(closure)


def _raising_module(where: str) -> nn.Module:
    model: Any = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 1))
    if where == "forward hook":
        model[1].register_forward_hook(lambda *_: trouble())
    elif where == "backward hook":
        model[0].weight.register_hook(lambda _: trouble())
    elif where == "forward":
        model[1].forward = lambda _: trouble()
    elif where == "autograd function":
        model[1].forward = Thrower.apply
    return model  # type: ignore[no-any-return]


RAISING: dict[str, Callable[[], object]] = {
    **{
        each: lambda each=each: _train(_raising_module(each))  # type: ignore[misc]
        for each in ("forward hook", "backward hook", "forward", "autograd function")
    },
    **{
        each: lambda each=each: _train(_raising_module(""), each)  # type: ignore[misc]
        for each in ("closure", "shapes", "backward twice", "no gradient", "in place", "interrupt")
    },
    "data set": lambda: _train(_raising_module(""), data_class=BrokenSet),
    "optimizer": lambda: _train(_raising_module(""), optimizer_class=BrokenSGD),
    "load_state_dict": lambda: _raising_module("").load_state_dict({"nothing": torch.zeros(1)}),
    "optimizer's arguments": lambda: torch.optim.SGD([], lr=0.1),
    "loader's arguments": lambda: DataLoader(TensorDataset(torch.zeros(3)), batch_size=-1),
}


def raised(program: Callable[[], object]) -> Trace:
    """What the program sees of its exception: type, arguments, its own frames, cause and context; and what is left."""
    try:
        program()
    except BaseException as error:
        frames = [
            (f.name, f.lineno, f.line) for f in traceback.extract_tb(error.__traceback__) if f.filename == __file__
        ]
        chain = [type(error.__cause__), type(error.__context__), error.__suppress_context__]
        return [
            type(error),
            str(error),
            frames,
            chain,
            torch.is_grad_enabled(),
            torch.is_autocast_enabled("cpu"),
            streams(),
        ]
    raise AssertionError("it was to raise")


@pytest.mark.parametrize("where", RAISING)
def test_exceptions_of_the_program_come_as_they_are(where: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    alone = raised(RAISING[where])
    torch.manual_seed(0)
    with watched(tmp_path) as watch:
        observed = raised(RAISING[where])
    assert observed == alone
    assert watch.failure is None


def test_after_an_exception_the_watch_goes_on(tmp_path: Path) -> None:
    with watched(tmp_path) as watch:
        for where in ("forward", "closure", "autograd function", "backward hook"):
            raised(RAISING[where])
        before = watch.step
        _train(_raising_module(""))
        assert watch.step == before + 4
        assert watch.failure is None


def test_all_comes_off_again(tmp_path: Path) -> None:
    names = (
        *((torch.Tensor, "backward"), (torch.autograd, "backward"), (torch.autograd, "grad"), (DataLoader, "__iter__")),
        *((nn.Module, "__init__"), (nn.Module, "_call_impl"), (nn.Module, "load_state_dict")),
        *((torch.optim.Optimizer, "__init__"), (torch.optim.Optimizer, "zero_grad"), (torch.amp.GradScaler, "scale")),
    )

    def standing() -> Trace:
        hooks = [len(module_hooks._global_forward_hooks), len(module_hooks._global_forward_pre_hooks)]
        return [*hooks, torch._C._len_torch_function_stack(), *(getattr(owner, name) for owner, name in names)]

    before = standing()
    with watched(tmp_path):
        assert standing() != before
        _train(_raising_module(""))
    assert standing() == before
