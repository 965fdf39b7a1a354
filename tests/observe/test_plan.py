"""How long a run is meant to be is read from the loops that are running."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from tests.observe.watching import examine

DATA = TensorDataset(torch.randn(24, 4), torch.randn(24, 1))


class Loop:
    """A model and what one step of it takes."""

    def __init__(self) -> None:
        self.model = nn.Linear(4, 1)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01)
        self.loader = DataLoader(DATA, batch_size=8)

    def learn(self) -> None:
        self.optimizer.zero_grad()
        self.model(torch.randn(8, 4)).square().mean().backward()
        self.optimizer.step()


def epochs_of_a_loader() -> None:
    loop, settings = Loop(), SimpleNamespace(epochs=4)
    for _epoch in range(1, settings.epochs + 1):
        for _number, _batch in enumerate(loop.loader):
            loop.learn()


def epochs_that_a_function_runs() -> None:
    loop = Loop()

    def epoch() -> None:
        for _ in loop.loader:
            loop.learn()

    for _ in range(5):
        epoch()


def one_batch_for_all() -> None:
    loop = Loop()
    for _epoch in range(12):
        loop.learn()


def accumulation() -> None:
    loop = Loop()
    for _ in range(4):
        for number, _batch in enumerate(loop.loader):
            loop.model(torch.randn(8, 4)).square().mean().backward()
            if number == 2:
                loop.optimizer.step()
                loop.optimizer.zero_grad()


def a_count_of_steps() -> None:
    loop, step = Loop(), 0
    while step < 7:
        for _ in loop.loader:
            loop.learn()
            step += 1
            if step >= 7:
                break


def left_at_a_count() -> None:
    loop, step = Loop(), 0
    while True:
        loop.learn()
        step += 1
        if step == 9:
            break


def early_stopping() -> None:
    loop = Loop()
    for epoch in range(6):
        for _ in loop.loader:
            loop.learn()
        if epoch > 2:
            break


def folds() -> None:
    for _fold in range(3):
        loop = Loop()
        for _ in range(2):
            for _ in loop.loader:
                loop.learn()


def batches_by_hand() -> None:
    loop = Loop()
    for _ in range(2):
        for _start in range(0, 24, 6):
            loop.learn()


def unknown() -> None:
    loop, calls = Loop(), list[int]()
    for _ in iter(int, 1):
        loop.learn()
        calls.append(1)
        if len(calls) > 3:
            break


@pytest.mark.parametrize(
    ("loop", "epochs", "steps_per_epoch", "steps", "early"),
    [
        (epochs_of_a_loader, 4, 3, 12, False),
        (epochs_that_a_function_runs, 5, 3, 15, False),
        (one_batch_for_all, 12, 1, 12, False),
        (accumulation, 4, 1, 4, False),
        (a_count_of_steps, None, None, 7, True),
        (left_at_a_count, None, 9, 9, True),
        (early_stopping, 6, 3, 18, True),
        (folds, 2, 3, 6, False),
        (batches_by_hand, 2, 4, 8, False),
        (unknown, None, None, None, True),
    ],
)
def test_the_plan(
    tmp_path: Path,
    loop: Callable[[], None],
    epochs: int | None,
    steps_per_epoch: int | None,
    steps: int | None,
    early: bool,
) -> None:
    facts: Any = examine(tmp_path, loop).rows.facts("window", "name", "plan")
    found = (*(facts.get(key) for key in ("epochs", "steps_per_epoch", "steps")), facts["ends_early"])
    assert found == (epochs, steps_per_epoch, steps, early)


def grid() -> None:
    for lr in (0.1, 0.01):
        for hidden in (4, 8):
            model = nn.Sequential(nn.Linear(4, hidden), nn.Linear(hidden, 1))
            optimizer = torch.optim.SGD(model.parameters(), lr=lr)
            for _ in range(3):
                model(torch.randn(8, 4)).square().mean().backward()
                optimizer.step()


def test_loops_over_settings_around_the_training_are_a_search(tmp_path: Path) -> None:
    facts: Any = examine(tmp_path, grid).rows.facts("window", "name", "plan")
    assert facts["searched"] == ["lr", "hidden"]
    assert facts["steps"] == 3


def test_folds_and_epochs_are_no_search(tmp_path: Path) -> None:
    facts: Any = examine(tmp_path, folds).rows.facts("window", "name", "plan")
    assert facts["searched"] == []
