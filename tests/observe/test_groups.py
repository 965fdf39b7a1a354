"""What the optimizers' groups hold, and how their decay compares with the data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.observe.watching import examine


def groups_of(tmp_path: Path, kind: Any = torch.optim.SGD, steps: int = 30, **settings: Any) -> dict[str, Any]:
    def loop() -> None:
        torch.manual_seed(0)
        model, x = nn.Linear(64, 64), torch.randn(32, 64)
        y = x.roll(1, 1)
        optimizer = kind(model.parameters(), **settings)
        for _ in range(steps):
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(x), y)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    facts: Any = examine(tmp_path, loop).rows.facts("window", "name", "groups")
    [found] = facts["optimizers"]
    return dict(found)


def test_rates_and_settings(tmp_path: Path) -> None:
    found = groups_of(tmp_path, lr=0.1, weight_decay=0.01, steps=6)
    [group] = found["groups"]
    assert (group["weight_decay"], group["names"]) == (0.01, ["weight", "bias"])
    assert found["rates"] == [[0.1]] * 6
    assert (found["odd_attributes"], found["odd_keys"], found["decoupled"]) == ([], [], False)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (torch.optim.SGD, {"lr": 0.05, "weight_decay": 1.0}),
        (torch.optim.Adam, {"lr": 0.003, "weight_decay": 1.0}),
        (torch.optim.AdamW, {"lr": 0.003, "weight_decay": 20.0}),
    ],
)
def test_a_decay_that_decides(tmp_path: Path, kind: Any, settings: dict[str, Any]) -> None:
    found = groups_of(tmp_path, kind, **settings)
    assert found["decay_ratios"][0] > 1
    assert found["decayed_norms"][-1] < 0.6 * found["decayed_norms"][0]


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW])
def test_a_usual_decay_does_not(tmp_path: Path, kind: Any) -> None:
    found = groups_of(tmp_path, kind, lr=0.001, weight_decay=0.01)
    assert max(found["decay_ratios"]) < 0.5


def test_without_a_decay_nothing_is_compared(tmp_path: Path) -> None:
    assert groups_of(tmp_path, lr=0.1)["decay_ratios"] == []


def test_a_rate_where_no_step_reads_it(tmp_path: Path) -> None:
    def loop() -> None:
        model = nn.Linear(4, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for step in range(4):
            model(torch.randn(8, 4)).square().mean().backward()
            optimizer.step()
            optimizer.lr = 0.1 / (step + 1)  # type: ignore[attr-defined]
            optimizer.param_groups[0]["learning_rate"] = 0.01

    examination = examine(tmp_path, loop)
    facts: Any = examination.rows.facts("window", "name", "groups")
    assert facts["optimizers"][0]["odd_attributes"] == ["lr"]
    assert facts["optimizers"][0]["odd_keys"] == ["learning_rate"]
    habits: Any = examination.rows.facts("window", "name", "habits")
    assert [name for name, _ in habits["rate_attributes"]] == ["optimizer.lr"]
