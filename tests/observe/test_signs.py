"""Whose parameters are whose, where optimizers overlap."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from dnndoctor.observe.signs import Signs


def owners(*nets: nn.Module, optimizers: list[torch.optim.Optimizer]) -> list[Any]:
    watch: Any = SimpleNamespace(optimizer_built=dict.fromkeys(optimizers))
    signs = Signs(watch)
    return [signs._owner_of(each, root=True) for each in nets]


def test_an_optimizer_over_both_networks_does_not_make_them_one() -> None:
    one, other = nn.Linear(2, 2), nn.Linear(2, 2)
    own = [torch.optim.SGD(each.parameters(), lr=0.1) for each in (one, other)]
    both = torch.optim.SGD(itertools.chain(one.parameters(), other.parameters()), lr=0.1)
    assert owners(one, other, optimizers=[*own, both]) == [0, 1]
    assert owners(one, other, optimizers=[both, *own]) == [1, 2]
    assert owners(one, other, optimizers=[both]) == [0, 0]


def test_a_later_optimizer_over_the_same_parameters_takes_over() -> None:
    net = nn.Linear(2, 2)
    pair: list[torch.optim.Optimizer] = [torch.optim.SGD(net.parameters(), lr=0.1) for _ in range(2)]
    assert owners(net, optimizers=pair) == [1]
