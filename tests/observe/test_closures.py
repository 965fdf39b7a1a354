"""A step that evaluates a closure is recorded with the loss and the gradients of the closure's first evaluation."""

# mypy: disable-error-code="no-untyped-call, no-any-return"
from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.observe.watching import examine, watching

X = torch.randn(24, 5, generator=torch.Generator().manual_seed(1))
Y = X.sum(1, keepdim=True).sin()
MAKERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "LBFGS": lambda p: torch.optim.LBFGS(p, lr=0.5, max_iter=4),
    "LBFGS, line search": lambda p: torch.optim.LBFGS(p, max_iter=5, line_search_fn="strong_wolfe"),
    "SGD": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.01),
}
CALLS: dict[str, Callable[[Any, Any], Any]] = {
    "positional": lambda optimizer, closure: optimizer.step(closure),
    "keyword": lambda optimizer, closure: optimizer.step(closure=closure),
    "partial": lambda optimizer, closure: optimizer.step(functools.partial(closure)),
}


class Loop:
    def __init__(self, optimizer: str) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Dropout(0.1), nn.Linear(8, 1))
        self.optimizer = MAKERS[optimizer](self.model.parameters())
        self.firsts: list[tuple[float, float]] = []  # loss and gradient norm of each step's first evaluation
        self.returned: list[Any] = []
        self.evaluations = 0

    def run(self, call: Callable[[Any, Any], Any], steps: int = 5) -> Loop:
        for _ in range(steps):
            first = True

            def closure() -> torch.Tensor:
                nonlocal first
                self.evaluations += 1
                self.optimizer.zero_grad()
                loss = (self.model(X) - Y).pow(2).mean()
                loss.backward()
                if first:
                    norms = [float(p.grad.norm()) for p in self.model.parameters() if p.grad is not None]
                    self.firsts.append((loss.item(), sum(n * n for n in norms) ** 0.5))
                first = False
                return loss

            self.returned.append(call(self.optimizer, closure))
        return self

    def weights(self) -> list[torch.Tensor]:
        return [p.detach().clone() for p in self.model.parameters()]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("optimizer", MAKERS)
def test_first_evaluation_is_the_step_and_nothing_changes(optimizer: str, call: str, tmp_path: Path) -> None:
    bare = Loop(optimizer).run(CALLS[call])
    with watching(tmp_path) as found:
        watched = Loop(optimizer).run(CALLS[call])
    assert all(torch.equal(a, b) for a, b in zip(watched.weights(), bare.weights(), strict=True))
    assert [float(each) for each in watched.returned] == [float(each) for each in bare.returned]
    assert watched.evaluations == bare.evaluations
    assert found.losses == [loss for loss, _ in bare.firsts]
    assert [row["grad_norm"] for row in found.rows["step"]] == pytest.approx([norm for _, norm in bare.firsts])
    assert found.rows["optimizer"][0]["facts"]["closure"] is (bare.evaluations > 5)


@pytest.mark.parametrize("optimizer", MAKERS)
def test_operations_of_later_evaluations_are_not_seen_as_more_operations(optimizer: str, tmp_path: Path) -> None:
    found = examine(tmp_path, lambda: Loop(optimizer).run(CALLS["positional"]))
    assert len(found.made("linear")) == 2
    assert len(found.made("tanh")) == 1


def test_the_loss_object_that_the_closure_returns_is_what_the_step_returns(tmp_path: Path) -> None:
    class Result(dict[str, float]):
        pass

    results, returned = [], []

    def loop() -> None:
        model = nn.Linear(5, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):

            def closure() -> Any:
                optimizer.zero_grad()
                loss = (model(X) - Y).pow(2).mean()
                loss.backward()
                results.append(Result(loss=loss.item()))
                return results[-1]

            returned.append(optimizer.step(closure))

    found = examine(tmp_path, loop)
    assert [id(each) for each in returned] == [id(each) for each in results]
    assert found.losses == [each["loss"] for each in results]


@pytest.mark.parametrize("value", [None, 3.5, torch.tensor(2.0)], ids=["none", "number", "tensor"])
def test_a_closure_without_backward_leaves_the_gradients_made_before_it(value: Any, tmp_path: Path) -> None:
    losses, returned = [], []

    def loop() -> None:
        model = nn.Linear(5, 1)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
        for _ in range(4):
            optimizer.zero_grad()
            loss = (model(X) - Y).pow(2).mean()
            loss.backward()
            losses.append(loss.item())
            returned.append(optimizer.step(lambda: value))

    found = examine(tmp_path, loop)
    assert found.losses == losses
    assert all(each is value for each in returned)
    assert found.rows["clearing"][0]["facts"]["empty"] == 0
    assert found.rows["clearing"][0]["facts"]["intervals"] == 3


def test_a_step_that_is_skipped_in_the_closure_has_no_loss_and_no_event(tmp_path: Path) -> None:
    def loop() -> None:
        model = nn.Linear(5, 1)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
        for step in range(4):

            def closure(skip: bool = step == 2) -> Any:
                optimizer.zero_grad()
                if skip:
                    return None
                loss = (model(X) - Y).pow(2).mean()
                loss.backward()
                return loss

            optimizer.step(closure)

    found = examine(tmp_path, loop)
    assert [each is None for each in found.losses] == [False, False, True, False]
    assert found.rows["event"] == []


def test_a_closure_that_raises_raises_and_the_next_step_is_one(tmp_path: Path) -> None:
    losses = []

    def loop() -> None:
        model = nn.Linear(5, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for step in range(5):

            def closure(broken: bool = step == 2) -> torch.Tensor:
                optimizer.zero_grad()
                if broken:
                    raise ValueError("bad batch")
                loss = (model(X) - Y).pow(2).mean()
                loss.backward()
                losses.append(loss.item())
                return loss

            if step == 2:
                with pytest.raises(ValueError, match="bad batch"):
                    optimizer.step(closure)
            else:
                optimizer.step(closure)

    found = examine(tmp_path, loop)
    assert found.losses == losses
    assert len(losses) == 4


def test_one_closure_given_to_two_optimizers(tmp_path: Path) -> None:
    def loop() -> None:
        model = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 1))
        optimizers = [torch.optim.SGD(part.parameters(), lr=0.1) for part in (model[0], model[2])]
        for _ in range(4):

            def closure() -> torch.Tensor:
                model.zero_grad()
                loss = (model(X) - Y).pow(2).mean()
                loss.backward()
                return loss

            for each in optimizers:
                each.step(closure)

    found = examine(tmp_path, loop)
    assert [(row["name"], row["steps"]) for row in found.rows["optimizer"]] == [("SGD", 4)] * 2


def test_trials_set_the_rate_that_the_closure_s_step_uses(tmp_path: Path) -> None:
    """Every trial begins at the weights before the first step, whatever the closure did since."""
    firsts: list[float] = []

    def loop() -> None:
        torch.manual_seed(0)
        model = nn.Linear(5, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        while True:

            def closure() -> torch.Tensor:
                optimizer.zero_grad()
                loss = (model(X) - Y).pow(2).mean()
                loss.backward()
                firsts.append(loss.item())
                return loss

            optimizer.step(closure)
            assert optimizer.param_groups[0]["lr"] == 0.1

    found = examine(tmp_path, loop, steps=8, probes=True, seconds=5.0)
    assert found.losses[:8] == firsts[:8]
    rows = sorted(
        (each for each in found.rows["trial"] if each["probe"] == "learning-rate"), key=lambda row: row["step"]
    )
    begins = [
        row["loss"]
        for row, before in zip(rows, [None, *rows], strict=False)
        if before is None or before["setting"] != row["setting"]
    ]
    assert len(begins) >= 8
    assert set(begins) == {firsts[0]}
    # After this probe come others; then the loop goes on from where it was.
    assert any(each == pytest.approx(found.losses[8]) for each in firsts[8 + len(rows) :])
