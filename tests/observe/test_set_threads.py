"""The line that sets the number of threads."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from dnndoctor.observe.windows import WINDOWS
from tests.observe.watching import examine


def test_the_last_call_counts(tmp_path: Path) -> None:
    before = torch.get_num_threads()

    def loop() -> None:
        torch.set_num_threads(before + 1)
        torch.set_num_threads(before)
        train()

    place = examine(tmp_path, loop).rows.facts("window", "name", "threads")
    assert place is not None
    assert place["location"][1] == loop.__code__.co_firstlineno + 2
    assert torch.get_num_threads() == before


def test_no_call(tmp_path: Path) -> None:
    assert examine(tmp_path, train).rows.facts("window", "name", "threads") is None


def train() -> None:
    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.randn(8, 4)).square().mean().backward()
        optimizer.step()


def test_no_window_is_opened_twice() -> None:
    assert len(set(WINDOWS)) == len(WINDOWS)
