"""``model.forward(x)`` is a pass of the model as ``model(x)`` is, and nothing of it is held."""

# mypy: disable-error-code="no-untyped-call, no-any-return"
from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any
from weakref import ref

import pytest
import torch
from torch import nn

from tests.observe.watching import examine

X = torch.randn(24, 5, generator=torch.Generator().manual_seed(1))
Y = (X.sum(1) > 0).long()


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(5, 8)
        self.drop = nn.Dropout(0.25)
        self.last = nn.Linear(8, 2)
        self.alive: list[ref[torch.Tensor]] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = torch.relu(self.first(x))
        self.alive.append(ref(hidden))
        return self.last(self.drop(hidden))

    def scores(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.drop(torch.relu(self.first(x))))


class Direct(Net):
    """Calls no module at all."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = torch.relu(self.first.forward(x))
        self.alive.append(ref(hidden))
        return self.last.forward(self.drop.forward(hidden))


class Wrapped(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = Net()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner.forward(x)


WAYS: dict[str, tuple[Callable[[], nn.Module], Callable[[Any, torch.Tensor], torch.Tensor], str]] = {
    "called": (Net, lambda model, x: model(x), ""),
    "forward": (Net, lambda model, x: model.forward(x), ""),
    "forward, by keyword": (Net, lambda model, x: model.forward(x=x), ""),
    "another method": (Net, lambda model, x: model.scores(x), ""),
    "all by forward": (Direct, lambda model, x: model.forward(x), ""),
    "called, inside by forward": (Wrapped, lambda model, x: model(x), "inner."),
    "all wrapped by forward": (Wrapped, lambda model, x: model.forward(x), "inner."),
}


def train(make: Callable[[], Any], call: Callable[[Any, torch.Tensor], torch.Tensor], steps: int = 6) -> list[float]:
    torch.manual_seed(0)
    model = make()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = []
    for step in range(steps):
        part = slice(step % 3 * 8, step % 3 * 8 + 8)
        loss = nn.functional.cross_entropy(call(model, X[part]), Y[part])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def of_model(make: Callable[[], nn.Module], passes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each for each in passes if each["model"] == make.__name__]


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_calling_gives_the_same_record(way: str, tmp_path: Path) -> None:
    make, call, prefix = WAYS[way]
    seen: list[float] = []
    found = examine(tmp_path, lambda: seen.extend(train(make, call)))
    assert found.losses == seen == train(make, call)
    assert [row["batch_size"] for row in found.rows["step"]] == [8] * 6
    assert [row["module"] for row in found.made("linear")] == [f"{prefix}first", f"{prefix}last"]
    assert [(row["name"], row["parameters"]) for row in found.made("linear")] == [
        ("linear", [f"{prefix}first.weight", f"{prefix}first.bias"]),
        ("linear", [f"{prefix}last.weight", f"{prefix}last.bias"]),
    ]
    [group] = of_model(make, found.passes())
    assert (group["passes"], group["trained"]) == (6, True)


@pytest.mark.parametrize("way", [way for way in WAYS if "all" not in way])
def test_the_mode_of_its_layers_is_seen(way: str, tmp_path: Path) -> None:
    make, call, prefix = WAYS[way]
    [group] = of_model(make, examine(tmp_path, lambda: train(make, call)).passes())
    assert group["active"] == [f"{prefix}drop"]


@pytest.mark.parametrize("way", WAYS)
def test_an_evaluation_is_one_without_gradients(way: str, tmp_path: Path) -> None:
    make, call, _ = WAYS[way]

    def loop() -> None:
        torch.manual_seed(0)
        model = make()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            nn.functional.cross_entropy(call(model.train(), X), Y).backward()
            optimizer.step()
            optimizer.zero_grad()
            with torch.no_grad():
                call(model.eval(), X)

    found = examine(tmp_path, loop)
    [trained], [evaluated] = of_model(make, found.passes()), of_model(make, found.passes(gradients=False))
    assert (trained["passes"], trained["training"]) == (3, True)
    assert (evaluated["passes"], evaluated["training"], evaluated["trained"]) == (3, False, False)


@pytest.mark.parametrize("to_none", [True, False])
@pytest.mark.parametrize("between", [True, False])
def test_reading_gradients_is_no_pass(to_none: bool, between: bool, tmp_path: Path) -> None:
    def loop() -> None:
        model = Net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(4):
            if not between:
                optimizer.zero_grad(set_to_none=to_none)
            loss = nn.functional.cross_entropy(model(X), Y)
            if between:
                optimizer.zero_grad(set_to_none=to_none)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            sum(float(p.grad.norm()) for p in model.parameters() if p.grad is not None)
            optimizer.step()

    found = examine(tmp_path, loop)
    assert [(group["model"], group["passes"]) for group in found.passes()] == [("Net", 4)]
    names = ["linear", "relu", "dropout", "linear", "cross_entropy"]
    assert [row["name"] for row in found.rows["operation"]] == names


@pytest.mark.parametrize("way", ["called", "forward", "all by forward"])
def test_activations_die_with_the_step(way: str, tmp_path: Path) -> None:
    make, call, _ = WAYS[way]
    alive: list[list[bool]] = []

    def loop() -> None:
        model: Any = make()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(5):
            loss = nn.functional.cross_entropy(call(model, X), Y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            del loss
            alive.append([each() is not None for each in model.alive])

    gc.collect()
    gc.disable()
    try:
        examine(tmp_path, loop)
    finally:
        gc.enable()
    assert len(alive[-1]) == 5
    assert not any(map(any, alive))


def test_the_model_itself_dies_with_the_loop(tmp_path: Path) -> None:
    gone: list[ref[nn.Module]] = []

    def fold() -> None:
        model = Net()
        gone.append(ref(model))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            nn.functional.cross_entropy(model.forward(X), Y).backward()
            optimizer.step()

    def loop() -> None:
        fold()

    examine(tmp_path, loop)
    gc.collect()
    assert gone[0]() is None
