"""Checkpoints of real trainings, without any log: what the weights tell of how it went."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from dnndoctor.config import Settings
from dnndoctor.examination import examine_logs


def network(kind: str) -> nn.Module:
    if kind == "convolutional":
        return nn.Sequential(
            nn.Conv2d(1, 32, 3), nn.BatchNorm2d(32), nn.ReLU(), nn.Conv2d(32, 32, 3), nn.ReLU(), nn.Flatten(),
            nn.Linear(512, 2),
        )  # fmt: skip
    if kind == "attention":
        layer = nn.TransformerEncoderLayer(64, 4, 64, dropout=0.0, batch_first=True)
        return nn.Sequential(nn.Unflatten(1, (4, 16)), nn.Linear(16, 64), nn.TransformerEncoder(layer, 1), nn.Flatten(),
                             nn.Linear(256, 2))  # fmt: skip
    width = 64
    return nn.Sequential(
        nn.Linear(64, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 2)
    )  # fmt: skip


def told(folder: Path, kind: str = "plain", rate: float = 1e-3, start: Any = None, **settings: Any) -> list[str]:
    """Train, keep three checkpoints, and read them again."""
    torch.manual_seed(0)
    model = network(kind)
    if start is not None:
        for each in model.modules():
            if isinstance(each, nn.Linear):
                start(each)
    method = settings.pop("method", torch.optim.AdamW)
    optimizer = method(model.parameters(), lr=rate, **settings)
    x = torch.randn(512, 64)
    y = (x[:, :32].sum(1) > x[:, 32:].sum(1)).long()
    for step in range(301):
        if step % 150 == 0:
            torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, folder / f"step_{step}.pt")
        at = torch.randint(512, (64,))
        given = x[at].view(-1, 1, 8, 8) if kind == "convolutional" else x[at]
        optimizer.zero_grad()
        torch.autograd.backward(nn.functional.cross_entropy(model(given), y[at]))
        optimizer.step()
    found = examine_logs([folder], Settings(root=str(folder)))
    return [each.rule for each in found.roots]


def normal(layer: nn.Linear) -> None:
    nn.init.normal_(layer.weight)


def constant(layer: nn.Linear) -> None:
    nn.init.constant_(layer.weight, 0.05)
    nn.init.zeros_(layer.bias)


@pytest.mark.parametrize("kind", ["plain", "convolutional", "attention"])
def test_sound_trainings_are_left_alone(tmp_path: Path, kind: str) -> None:
    assert told(tmp_path, kind, rate=3e-3) == []


def test_units_that_started_alike(tmp_path: Path) -> None:
    assert told(tmp_path, start=constant) == ["INI108"]


def test_a_decay_that_takes_everything(tmp_path: Path) -> None:
    assert told(tmp_path, rate=1e-2, weight_decay=10.0, method=torch.optim.SGD) == ["REG111"]


def test_a_rate_that_throws_the_weights_out(tmp_path: Path) -> None:
    assert told(tmp_path, rate=1.0, method=torch.optim.Adam) == ["OPT112"]


def test_weights_of_a_start_that_no_step_can_move(tmp_path: Path) -> None:
    def wide(layer: nn.Linear) -> None:
        nn.init.normal_(layer.weight, std=2.0)

    assert told(tmp_path, start=wide) == ["INI109"]
