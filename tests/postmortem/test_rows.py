"""What the rows of real matrices tell."""

from __future__ import annotations

import pytest
import torch

from dnndoctor.postmortem.weights.rows import facts


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("shape", [(256, 256), (1000, 3000), (64, 3, 7, 7), (10, 512)])
def test_drawn_at_random(shape: tuple[int, ...]) -> None:
    found = facts(torch.randn(shape), spectrum=True)
    assert found["alike"] is not None
    assert found["alike"] <= 0.1
    assert found["quiet"] == 0.0
    assert found["rank"] is not None
    assert found["rank"] > 0.75
    assert found["top"] is not None
    assert found["top"] < 0.2


def test_equal_rows_but_for_rounding() -> None:
    row = torch.randn(1, 64)
    assert facts(row.repeat(32, 1) + 1e-6 * torch.randn(32, 64), spectrum=False) == {"alike": 1.0, "quiet": 0.0}


def test_few_directions() -> None:
    found = facts(torch.randn(512, 3) @ torch.randn(3, 512), spectrum=True)
    assert found["rank"] == pytest.approx(3 / 256, rel=0.7)
    one = facts(torch.outer(torch.randn(512), torch.randn(512)), spectrum=True)
    assert one["top"] == pytest.approx(1.0)


def test_faded_rows() -> None:
    weight = torch.randn(40, 16)
    weight[::4] *= 1e-6
    assert facts(weight, spectrum=False)["quiet"] == 0.25


def test_what_has_no_rows() -> None:
    assert facts(torch.randn(8), spectrum=True) == {}
    assert facts(torch.randn(1, 8), spectrum=True) == {}
    assert facts(torch.randn(8, 1), spectrum=True) == {}
    assert facts(torch.full((8, 8), torch.nan), spectrum=True) == {}
    assert facts(torch.zeros(8, 8), spectrum=True) == {"alike": None, "quiet": None}
