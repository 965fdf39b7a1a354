"""Samples of several shapes, and those of one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from tests.observe.watching import examine


def trained(tmp_path: Path, lengths: list[int], batch: int = 1) -> dict[str, Any]:
    def loop() -> None:
        model = nn.GRU(3, 4, batch_first=True)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for length in lengths:
            optimizer.zero_grad()
            model(torch.randn(batch, length, 3))[0].square().mean().backward()
            optimizer.step()

    rows = examine(tmp_path, loop).rows
    [facts] = [row["facts"] for row in rows["window"] if row["name"] == "sample-shapes"]
    return dict(facts)


def test_sequences_of_several_lengths(tmp_path: Path) -> None:
    assert trained(tmp_path, [4, 6, 4, 5]) == {"shapes": 3, "lengths": 1}


def test_a_last_batch_that_is_shorter_is_of_the_same_shape(tmp_path: Path) -> None:
    assert trained(tmp_path, [4, 4], batch=2) == {"shapes": 1, "lengths": 1}


def test_a_loop_over_letters_calls_as_often_as_a_word_is_long(tmp_path: Path) -> None:
    def loop() -> None:
        cell = nn.GRUCell(3, 4)
        optimizer = torch.optim.SGD(cell.parameters(), lr=0.1)
        for length in (2, 5, 3):
            optimizer.zero_grad()
            state = torch.zeros(1, 4)
            for _ in range(length):
                state = cell(torch.randn(1, 3), state)
            loss: Any = state.square().mean()
            loss.backward()
            optimizer.step()

    assert examine(tmp_path, loop).rows.facts("window", "name", "sample-shapes") == {"shapes": 1, "lengths": 3}
