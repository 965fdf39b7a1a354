"""Seeds that a program sets are moved; what is no number stays."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from dnndoctor.subject import seed_shift


@pytest.fixture(autouse=True)
def unpatched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for owner, name in seed_shift.STREAMS:
        if hasattr(owner, name):
            monkeypatch.setattr(owner, name, getattr(owner, name))
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    yield
    random.setstate(states[0])
    np.random.set_state(states[1])
    torch.set_rng_state(states[2])


def drawn(seed: int) -> tuple[float, float, float]:
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)
    return float(torch.rand(())), float(np.random.rand()), random.random()


def test_other_numbers_of_the_same_streams() -> None:
    wanted, unshifted = drawn(9), drawn(7)
    seed_shift.install(2)
    assert drawn(7) == wanted
    assert all(a != b for a, b in zip(wanted, unshifted, strict=True))


def test_accelerators_get_other_seeds_too(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", asked.append)
    seed_shift.install(2)
    torch.cuda.manual_seed_all(7)
    assert asked == [9]


def test_without_a_shift_nothing_is_wrapped() -> None:
    before = torch.manual_seed
    seed_shift.install(0)
    assert torch.manual_seed is before


def test_what_is_no_number_is_handed_on() -> None:
    seed_shift.install(1)
    random.seed("a text")
    first = random.random()
    random.seed("a text")
    assert random.random() == first
    np.random.seed([1, 2, 3])
    np.random.seed(None)
    np.random.seed(2**32 - 1)  # moved, it starts again at zero
    wrapped = np.random.rand()
    np.random.seed(seed=2**32 - 1)
    assert np.random.rand() == wrapped
