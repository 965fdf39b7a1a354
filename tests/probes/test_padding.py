"""Heavy layers timed as they are and padded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from dnndoctor.measurements import Missing, Padding
from dnndoctor.probes import padding
from dnndoctor.probes.room import Room
from dnndoctor.recording.assemble import assemble
from tests.observe.watching import watching

if TYPE_CHECKING:
    from collections.abc import Callable


def timed(path: Path, make: Callable[[], nn.Module], *shape: int, seconds: float = 2.0) -> Padding | Missing:
    """Of a model that is trained for three steps; its parameters and gradients stay as they are."""
    with watching(path) as examination:
        torch.manual_seed(0)
        model = make()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.randn(shape)).square().mean().backward()
            optimizer.step()
        before = [p.detach().clone() for p in model.parameters()]
        gradients = [p.grad.clone() for p in model.parameters() if p.grad is not None]
        padding.measure(examination.watch, Room(seconds, 0.01))
        now = list(model.parameters())
        assert all(torch.equal(a, b) for a, b in zip(before, now, strict=True))
        assert all(b.grad is not None and torch.equal(a, b.grad) for a, b in zip(gradients, now, strict=True))
    found: Padding | Missing = assemble(examination.rows)[Padding]
    return found


def test_sizes_that_are_free_are_rounded_up(tmp_path: Path) -> None:
    found = timed(
        tmp_path, lambda: nn.Sequential(nn.Linear(70, 100), nn.ReLU(), nn.Linear(100, 130), nn.Linear(130, 70)), 8, 70
    )
    assert isinstance(found, Padding)
    sizes = {each.layer: [(one.inputs, one.outputs) for one in (each.own, *each.padded)] for each in found.layers}
    assert sizes == {
        "0": [(70, 100), (70, 104), (70, 128)],
        "2": [(100, 130), (104, 136), (128, 192)],
        "3": [(130, 70), (136, 70), (192, 70)],
    }
    assert all(len(one.seconds) >= 3 and min(one.seconds) > 0 for each in found.layers for one in each.padded)
    assert found.step_seconds == 0.01


def test_channels_of_convolutions(tmp_path: Path) -> None:
    def made() -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, 66, 3, stride=2, padding=1), nn.Conv2d(66, 66, 3), nn.Conv2d(66, 5, 1))

    found = timed(tmp_path, made, 2, 3, 12, 12)
    assert isinstance(found, Padding)
    [heavy] = [each for each in found.layers if each.layer == "1"]
    assert [(one.inputs, one.outputs) for one in heavy.padded] == [(72, 72), (128, 128)]


def test_even_sizes_need_no_time(tmp_path: Path) -> None:
    found = timed(tmp_path, lambda: nn.Sequential(nn.Linear(5, 64), nn.ReLU(), nn.Linear(64, 3)), 8, 5)
    assert isinstance(found, Padding)
    assert not found.layers
    assert found.step_gain == 1.0


def test_without_time_it_says_so(tmp_path: Path) -> None:
    found = timed(tmp_path, lambda: nn.Sequential(nn.Linear(70, 100), nn.Linear(100, 9)), 8, 70, seconds=0.0)
    assert isinstance(found, Missing)
    assert found.reason == "there was no time for it"
