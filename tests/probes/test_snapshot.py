"""A snapshot brings everything back bit for bit, whatever the trial did."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dnndoctor.probes.snapshot import Snapshot

OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01, amsgrad=True),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.01, momentum=0.5, centered=True),
    "adagrad": lambda p: torch.optim.Adagrad(p, lr=0.1),
    "lbfgs": lambda p: torch.optim.LBFGS(p, lr=0.1, max_iter=2),
}


class Loop:
    """A small training loop with every kind of state."""

    def __init__(self, optimizer: str) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 1))
        self.optimizer = OPTIMIZERS[optimizer](self.model.parameters())
        self.scheduler = torch.optim.lr_scheduler.StepLR(self.optimizer, 2, gamma=0.5)

    def step(self) -> float:
        x = torch.randn(16, 4) + random.random() + float(np.random.rand())

        def closure() -> float:
            self.optimizer.zero_grad()
            loss = (self.model(x) - 1).pow(2).mean()
            loss.backward()
            return float(loss.detach())

        loss = self.optimizer.step(closure)
        self.scheduler.step()
        assert loss is not None
        return loss

    def state(self) -> dict[str, Any]:
        return {
            **{f"model.{k}": v.clone() for k, v in self.model.state_dict().items()},
            **{f"grad.{k}": None if p.grad is None else p.grad.clone() for k, p in self.model.named_parameters()},
            "lr": [g["lr"] for g in self.optimizer.param_groups],
            "optimizer": _plain(self.optimizer.state_dict()),
            "scheduler": _plain(self.scheduler.state_dict()),
            "torch": torch.get_rng_state(),
            "python": random.getstate(),
            "numpy": np.random.get_state()[1].copy(),  # type: ignore[index]
            "training": [m.training for m in self.model.modules()],
        }


def _plain(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.clone()
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else value


def same(one: Any, two: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return isinstance(two, torch.Tensor) and torch.equal(one, two)
    if isinstance(one, np.ndarray):
        return bool(np.array_equal(one, two))
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(same(one[k], two[k]) for k in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(two) and all(same(a, b) for a, b in zip(one, two, strict=True))
    return bool(one == two)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@given(before=st.integers(0, 3), after=st.integers(1, 4), rate=st.floats(1e-4, 1e6))
@settings(max_examples=8, deadline=None)
def test_restore_is_bit_identical(optimizer: str, before: int, after: int, rate: float) -> None:
    loop = Loop(optimizer)
    for _ in range(before):
        loop.step()
    held = [id(p) for p in loop.model.parameters()]
    snapshot = Snapshot([loop.model], [loop.optimizer], [loop.scheduler])
    expected = loop.state()
    for _ in range(after):
        loop.optimizer.param_groups[0]["lr"] = rate
        loop.step()
    snapshot.restore()
    assert same(expected, loop.state())
    assert held == [id(p) for p in loop.model.parameters()]


def test_what_follows_a_restore_is_what_would_have_followed() -> None:
    alone, probed = Loop("adam"), Loop("adam")
    torch.manual_seed(1)
    random.seed(1)
    np.random.seed(1)
    expected = [alone.step() for _ in range(6)]
    torch.manual_seed(1)
    random.seed(1)
    np.random.seed(1)
    losses = [probed.step() for _ in range(3)]
    snapshot = Snapshot([probed.model], [probed.optimizer], [probed.scheduler])
    for _ in range(5):
        probed.step()
    snapshot.restore()
    losses += [probed.step() for _ in range(3)]
    assert losses == expected


def test_a_trial_begins_without_gradients_and_keeps_their_tensors() -> None:
    loop = Loop("sgd")
    loop.step()
    weight = next(loop.model.parameters())
    grad = weight.grad
    snapshot = Snapshot([loop.model], [loop.optimizer], [loop.scheduler])
    snapshot.begin_trial()
    assert weight.grad is grad
    assert grad is not None
    assert not grad.any()
    snapshot.restore()
    assert weight.grad is grad
    assert grad.any()
