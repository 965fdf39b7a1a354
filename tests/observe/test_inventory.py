"""Which optimizer stepped past a parameter that none holds."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from dnndoctor.findings import Location
from dnndoctor.observe.inventory import Inventory
from dnndoctor.observe.steps import describe

BUILT = Location("train.py", 9)


def watch(model: nn.Module, *optimizers: torch.optim.Optimizer) -> Any:
    named = [(name, name, model, parameter) for name, parameter in model.named_parameters()]
    modules = SimpleNamespace(named_parameters=lambda: iter(named))
    return SimpleNamespace(modules=modules, optimizer_built=dict.fromkeys(optimizers, BUILT))


def test_it_is_the_first_to_step_after_the_parameter_has_a_gradient() -> None:
    left_out, other = nn.Linear(2, 2), nn.Linear(2, 2)
    model, held = nn.Sequential(left_out, other), list(other.parameters())
    critic, generator = torch.optim.SGD(held, lr=0.1), torch.optim.SGD(held, lr=0.1)
    inventory, seen = Inventory(), watch(model, critic, generator)
    first, second = describe(critic, 0, None), describe(generator, 1, None)
    inventory.note_step(first, seen)
    assert inventory.stepped_next(left_out.weight) == (None, None)
    left_out.weight.grad = torch.ones(2, 2)
    inventory.note_step(second, seen)
    inventory.note_step(first, seen)
    assert inventory.stepped_next(left_out.weight) == (1, BUILT)
    assert inventory.stepped_next(left_out.bias) == (None, None)


def test_what_is_held_is_not_looked_at() -> None:
    model = nn.Linear(2, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model.weight.grad = torch.ones(2, 2)
    inventory = Inventory()
    inventory.note_step(describe(optimizer, 0, None), watch(model, optimizer))
    assert inventory.stepped_next(model.weight) == (None, None)
