"""The loss of evaluations between the steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import mse_loss
from torch.utils.data import DataLoader, TensorDataset

from tests.observe.watching import Examination, examine


def points(examination: Examination) -> list[tuple[int, float]]:
    facts: Any = examination.rows.facts("window", "name", "evaluations")
    return [] if facts is None else [(each["step"], each["loss"]) for each in facts["points"]]


def learn(model: nn.Module, optimizer: torch.optim.Optimizer, x: Any, y: Any) -> None:
    optimizer.zero_grad()
    loss: Any = mse_loss(model(x), y)
    loss.backward()
    optimizer.step()


def loaders() -> tuple[DataLoader[Any], DataLoader[Any]]:
    torch.manual_seed(0)
    data = TensorDataset(torch.randn(24, 4), torch.randn(24, 1))
    return DataLoader(data, batch_size=8), DataLoader(TensorDataset(torch.randn(8, 4), torch.randn(8, 1)), batch_size=4)


def test_the_mean_loss_of_each_evaluation(tmp_path: Path) -> None:
    own: list[float] = []

    def loop() -> None:
        train, held_out = loaders()
        model = nn.Linear(4, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for _ in range(4):
            for x, y in train:
                learn(model, optimizer, x, y)
            with torch.no_grad():
                own.append(sum(float(mse_loss(model(x), y)) for x, y in held_out) / 2)

    found = points(examine(tmp_path, loop))
    assert [step for step, _ in found] == [3, 6, 9, 12]
    assert [loss for _, loss in found] == pytest.approx(own)


def test_whole_sets_without_loaders(tmp_path: Path) -> None:
    def loop() -> None:
        x, y, other, theirs = torch.randn(16, 4), torch.randn(16, 1), torch.randn(8, 4), torch.randn(8, 1)
        model = nn.Linear(4, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for _ in range(3):
            learn(model, optimizer, x, y)
            with torch.no_grad():
                mse_loss(model(x), y)  # of what was trained on: no evaluation
                mse_loss(model(other), theirs)

    assert [step for step, _ in points(examine(tmp_path, loop))] == [1, 2, 3]


def test_a_look_at_the_training_loss_is_no_evaluation(tmp_path: Path) -> None:
    def loop() -> None:
        train, _ = loaders()
        model = nn.Linear(4, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for _ in range(3):
            for x, y in train:
                learn(model, optimizer, x, y)
            with torch.no_grad():
                for x, y in train:
                    mse_loss(model(x), y)

    assert points(examine(tmp_path, loop)) == []
