"""Whose a scheduler is, and at which pace it is called."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import SGD
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, LinearLR, LRScheduler, SequentialLR, StepLR
from torch.utils.data import DataLoader, TensorDataset

from tests.observe.watching import Examination, examine

LOADER = DataLoader(TensorDataset(torch.randn(24, 4)), batch_size=8)


def nothing() -> None:
    """Done where no scheduler is to be called."""


def a_loop(
    make: Callable[[SGD], LRScheduler], *, per_step: bool = False, per_epoch: bool = False, first: bool = False
) -> Callable[[], None]:
    def loop() -> None:
        model = nn.Linear(4, 1)
        optimizer = SGD(model.parameters(), lr=0.1)
        scheduler = make(optimizer)
        before, after_step, after_epoch = (scheduler.step if on else nothing for on in (first, per_step, per_epoch))
        for _ in range(4):
            before()
            for _ in LOADER:
                optimizer.zero_grad()
                model(torch.randn(8, 4)).square().mean().backward()
                optimizer.step()
                after_step()
            after_epoch()

    return loop


def once_per_epoch() -> None:
    model = nn.Linear(4, 1)
    optimizer = SGD(model.parameters(), lr=0.1)
    scheduler = halving(optimizer)
    for _ in range(4):
        for _ in LOADER:
            model(torch.randn(8, 4)).square().mean().backward()
            optimizer.step()
        scheduler.step()


def halving(optimizer: SGD) -> LRScheduler:
    return StepLR(optimizer, step_size=2, gamma=0.5)


def of(examination: Examination) -> dict[str, Any]:
    facts = examination.rows.facts("window", "name", "schedulers")
    assert facts is not None
    [found] = facts["schedulers"]
    return dict(found)


def curve(examination: Examination) -> dict[str, Any]:
    facts = examination.rows.facts("probe", "name", "schedule")
    assert facts is not None
    [found] = facts["curves"]
    return dict(found)


def test_once_per_epoch(tmp_path: Path) -> None:
    examination = examine(tmp_path, a_loop(halving, per_epoch=True))
    facts = of(examination)
    assert (facts["per"], facts["planned"], facts["calls"], facts["optimizer"]) == ("epoch", 4, 4, 0)
    assert curve(examination)["rates"] == pytest.approx([0.1, 0.1, 0.05, 0.05, 0.025])
    assert curve(examination)["per_step"][-1] == pytest.approx(0.1 * 0.5**6)


def test_once_per_step(tmp_path: Path) -> None:
    examination = examine(tmp_path, a_loop(halving, per_step=True))
    facts = of(examination)
    assert (facts["per"], facts["planned"], facts["calls"]) == ("step", 12, 12)
    assert examination.rates == pytest.approx([0.1 * 0.5 ** (i // 2) for i in range(12)])
    assert curve(examination)["rates"][:12] == pytest.approx(examination.rates)


def test_a_call_that_is_yet_to_come_is_found_in_the_source(tmp_path: Path) -> None:
    facts = of(examine(tmp_path, once_per_epoch, steps=2))
    assert (facts["per"], facts["planned"], facts["never_called"]) == ("epoch", 4, False)


def test_before_the_optimizer(tmp_path: Path) -> None:
    assert of(examine(tmp_path, a_loop(halving, first=True)))["before_any_step"] == 1
    assert of(examine(tmp_path, a_loop(halving, per_epoch=True)))["before_any_step"] == 0


def test_a_scheduler_that_nobody_calls(tmp_path: Path) -> None:
    # This file calls step() of schedulers elsewhere; a script that does not is examined in the fixtures.
    assert of(examine(tmp_path, a_loop(halving)))["calls"] == 0


def test_parts_of_another_scheduler_are_not_told_of(tmp_path: Path) -> None:
    def both(optimizer: SGD) -> LRScheduler:
        return SequentialLR(optimizer, [LinearLR(optimizer, 0.1, 1.0, 2), CosineAnnealingLR(optimizer, 2)], [2])

    examination = examine(tmp_path, a_loop(both, per_epoch=True))
    facts = of(examination)
    assert (facts["name"], facts["calls"]) == ("SequentialLR", 4)
    assert curve(examination)["rates"] == pytest.approx([0.01, 0.055, 0.1, 0.05, 0.0], abs=1e-9)


def test_another_optimizer_on_the_same_parameters(tmp_path: Path) -> None:
    def loop() -> None:
        model = nn.Linear(4, 1)
        optimizer = SGD(model.parameters(), lr=0.1)
        scheduler = StepLR(optimizer, 1)
        optimizer = SGD(model.parameters(), lr=0.2)
        for _ in range(5):
            model(torch.randn(8, 4)).square().mean().backward()
            optimizer.step()
            scheduler.step()

    facts = of(examine(tmp_path, loop))
    assert (facts["optimizer"], facts["others"]) == (None, 5)


def reassigned() -> None:
    model = nn.Linear(4, 1)
    optimizer = SGD(model.parameters(), lr=0.1)
    scheduler = StepLR(optimizer, 1)
    optimizer = SGD(model.parameters(), lr=0.2)
    for _ in range(4):
        for _ in range(10):
            model(torch.randn(8, 4)).square().mean().backward()
            optimizer.step()
        scheduler.step()


def one_after_the_other() -> None:
    model = nn.Linear(4, 1)
    second = SGD(model.parameters(), lr=0.1)
    scheduler = StepLR(second, 1)
    first = torch.optim.Adam(model.parameters(), lr=0.01)
    for optimizer in (first, second):
        for _ in range(10):
            model(torch.randn(8, 4)).square().mean().backward()
            optimizer.step()
    scheduler.step()


@pytest.mark.parametrize(("loop", "replaced"), [(reassigned, True), (one_after_the_other, False)])
def test_an_optimizer_that_another_took_the_name_of(tmp_path: Path, loop: Callable[[], None], replaced: bool) -> None:
    assert of(examine(tmp_path, loop, steps=8))["replaced"] is replaced


class Wrapped(torch.optim.Optimizer):
    """Hands everything on to another one, as libraries do."""

    def __init__(self, inner: torch.optim.Optimizer) -> None:
        self.inner = inner
        self.state, self.defaults = inner.state, inner.defaults

    @property
    def param_groups(self) -> Any:  # type: ignore[override]
        return self.inner.param_groups

    def step(self, closure: Any = None) -> Any:
        return self.inner.step(closure)


def test_a_wrapper_of_the_optimizer_is_the_optimizer(tmp_path: Path) -> None:
    def loop() -> None:
        model = nn.Linear(4, 1)
        optimizer = Wrapped(SGD(model.parameters(), lr=0.1))
        scheduler = StepLR(optimizer, 1)
        for _ in range(5):
            model(torch.randn(8, 4)).square().mean().backward()
            optimizer.step()
            scheduler.step()

    facts = of(examine(tmp_path, loop))
    assert (facts["optimizer"], facts["others"]) == (0, 0)


class Counting:
    """A schedule that a call changes."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, epoch: int) -> float:
        self.calls += 1
        return 0.5**epoch

    def method(self, epoch: int) -> float:
        return 0.5**epoch


def test_what_counts_its_calls_is_not_called_by_us(tmp_path: Path) -> None:
    bare, watched = Counting(), Counting()
    a_loop(lambda optimizer: LambdaLR(optimizer, bare), per_epoch=True)()
    examination = examine(tmp_path, a_loop(lambda optimizer: LambdaLR(optimizer, watched), per_epoch=True))
    assert watched.calls == bare.calls
    assert "missing" in curve(examination)


def test_a_method_is_run_without_copying_its_owner(tmp_path: Path) -> None:
    owner = Counting()
    examination = examine(tmp_path, a_loop(lambda optimizer: LambdaLR(optimizer, owner.method), per_epoch=True))
    assert curve(examination)["rates"] == pytest.approx([0.1, 0.05, 0.025, 0.0125, 0.00625])


def test_the_rates_are_those_of_a_run_without_us(tmp_path: Path) -> None:
    seen: list[float] = []

    def make(optimizer: SGD) -> LRScheduler:
        scheduler = CosineAnnealingLR(optimizer, T_max=4)
        optimizer.register_step_pre_hook(lambda one, *_: seen.append(one.param_groups[0]["lr"]))
        return scheduler

    a_loop(make, per_epoch=True)()
    bare, seen[:] = list(seen), []
    examine(tmp_path, a_loop(make, per_epoch=True))
    assert seen == bare
    assert StepLR.step is LRScheduler.step
