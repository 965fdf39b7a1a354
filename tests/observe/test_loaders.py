"""What is said about a loader, whichever way it was given its order and its batches."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, Sampler, SequentialSampler, TensorDataset

from dnndoctor.findings import Location
from dnndoctor.observe.loaders import LoaderFacts, Loaders

DATA = TensorDataset(torch.arange(40.0))
HERE, THERE = Location("train.py", 3, 1), Location("train.py", 9, 1)


class Pairs(Sampler[list[int]]):
    def __iter__(self) -> Iterator[list[int]]:
        return iter([[i, i + 1] for i in range(0, 40, 2)])


SHUFFLED = BatchSampler(RandomSampler(DATA), 8, drop_last=True)
LOADERS = {
    "plain": (DataLoader(DATA, batch_size=8), ("SequentialSampler", True, 8, False)),
    "shuffled": (DataLoader(DATA, batch_size=8, shuffle=True, drop_last=True), ("RandomSampler", False, 8, True)),
    "batch sampler": (DataLoader(DATA, batch_sampler=SHUFFLED), ("RandomSampler", False, 8, True)),
    "batches as samples": (DataLoader(DATA, sampler=SHUFFLED, batch_size=None), ("RandomSampler", False, 8, True)),
    "batch sampler in order": (
        DataLoader(DATA, batch_sampler=BatchSampler(SequentialSampler(DATA), 8, drop_last=False)),
        ("SequentialSampler", True, 8, False),
    ),
    "batch sampler of one's own": (DataLoader(DATA, batch_sampler=Pairs()), ("Pairs", False, None, False)),
}


@pytest.mark.parametrize("kind", LOADERS)
def test_order_and_size(kind: str) -> None:
    loader, expected = LOADERS[kind]
    facts = LoaderFacts(0, None, loader).facts()
    assert (facts["sampler"], facts["sequential"], facts["batch_size"], facts["drop_last"]) == expected


def test_a_loader_made_again_by_a_library_is_the_users() -> None:
    loaders = Loaders()
    theirs = DataLoader(DATA, batch_size=8, shuffle=True)
    loaders.note(theirs, HERE)
    again = DataLoader(DATA, batch_sampler=theirs.batch_sampler)
    loaders.note(again, THERE)
    other = DataLoader(DATA, batch_size=8, shuffle=True)
    loaders.note(other, THERE)
    assert [loaders.of(each).location for each in (theirs, again, other)] == [HERE, HERE, THERE]
