"""In how many directions hidden units vary."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from dnndoctor.measurements import Directions, Missing
from dnndoctor.observe.directions import FIRST_STEP, ROWS, effective_rank
from dnndoctor.recording.assemble import assemble
from tests.observe.watching import examine


@pytest.mark.parametrize("rank", [1, 3, 10])
def test_the_rank_of_a_product_of_two_thin_matrices(rank: int) -> None:
    generator = np.random.default_rng(0)
    left, right = generator.normal(size=(2000, rank)), np.linalg.qr(generator.normal(size=(40, rank)))[0].T
    assert effective_rank((left @ right + 7).astype(np.float32)) == rank


def test_constants_have_none() -> None:
    assert effective_rank(np.full((50, 4), 3.0, np.float32)) == 0


def seen(path: Path, steps: int) -> Directions | Missing:
    def fit() -> None:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 80), nn.Tanh(), nn.Linear(80, 1))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for _ in range(steps):
            optimizer.zero_grad()
            loss = model(0.01 * torch.randn(300, 3)).square().mean()
            loss.backward()
            optimizer.step()

    found: Directions | Missing = assemble(examine(path, fit).rows)[Directions]
    return found


def test_a_tanh_of_three_features_in_its_linear_range(tmp_path: Path) -> None:
    found = seen(tmp_path, FIRST_STEP + 20)
    assert isinstance(found, Directions)
    [site] = found.sites
    assert (site.name, site.width, site.rank) == ("1", 80, 3)
    assert site.samples >= ROWS
    assert site.location is not None


def test_early_steps_are_not_looked_at(tmp_path: Path) -> None:
    assert isinstance(seen(tmp_path, 20), Missing)
