"""Updates that no optimizer of torch's makes are steps like any other, at the rate that they are made with."""

# mypy: disable-error-code="no-untyped-call, no-any-return"
from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.func import functional_call

from tests.observe.watching import examine

RATE = 0.125
X = torch.randn(24, 5, generator=torch.Generator().manual_seed(1))
Y = (X.sum(1) > 0).long()


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 2))


def loss_of(model: nn.Module, step: int = 0) -> torch.Tensor:
    part = slice(step % 3 * 8, step % 3 * 8 + 8)
    return nn.functional.cross_entropy(model(X[part]), Y[part])


def gradient(p: torch.Tensor) -> torch.Tensor:
    assert p.grad is not None
    return p.grad


def by_data(model: nn.Module) -> None:
    for p in model.parameters():
        p.data -= RATE * gradient(p)


def by_data_add(model: nn.Module) -> None:
    for p in model.parameters():
        p.data.add_(gradient(p), alpha=-RATE)


def without_grad(model: nn.Module) -> None:
    with torch.no_grad():
        for p in model.parameters():
            p.sub_(RATE * gradient(p))


def without_grad_minus(model: nn.Module) -> None:
    with torch.no_grad():
        for p in model.parameters():
            p -= RATE * gradient(p)  # type: ignore[misc]


def by_copy(model: nn.Module) -> None:
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(p - RATE * gradient(p))


def by_new_data(model: nn.Module) -> None:
    for p in model.parameters():
        p.data = p.data - RATE * gradient(p)


def by_foreach(model: nn.Module) -> None:
    parameters = list(model.parameters())
    with torch.no_grad():
        torch._foreach_add_(parameters, [gradient(p) for p in parameters], alpha=-RATE)  # type: ignore[arg-type]


def by_state_dict(model: nn.Module) -> None:
    model.load_state_dict({name: p.detach() - RATE * gradient(p) for name, p in model.named_parameters()})


Update = Callable[[nn.Module], None]
UPDATES: dict[str, Update] = {
    "p.data -=": by_data,
    "p.data.add_": by_data_add,
    "no_grad, sub_": without_grad,
    "no_grad, -=": without_grad_minus,
    "copy_": by_copy,
    "p.data =": by_new_data,
    "foreach": by_foreach,
    "load_state_dict": by_state_dict,
}


def drop(model: nn.Module) -> None:
    for p in model.parameters():
        p.grad = None


def zero(model: nn.Module) -> None:
    for p in model.parameters():
        gradient(p).zero_()


CLEARINGS: dict[str, Update] = {"zero_grad": nn.Module.zero_grad, "grad = None": drop, "grad.zero_": zero}


def train(update: Update, clear: Callable[[nn.Module], None], steps: int = 7) -> list[float]:
    model = net()
    losses = []
    for step in range(steps):
        loss = loss_of(model, step)
        losses.append(loss.item())
        loss.backward()
        update(model)
        clear(model)
    return losses


@pytest.mark.parametrize("clear", CLEARINGS)
@pytest.mark.parametrize("update", UPDATES)
def test_every_update_is_a_step_at_its_rate(update: str, clear: str, tmp_path: Path) -> None:
    seen: list[float] = []
    found = examine(tmp_path, lambda: seen.extend(train(UPDATES[update], CLEARINGS[clear])))
    assert seen == train(UPDATES[update], CLEARINGS[clear])
    # The last update is told by the pass after it, which a loop that ends does not make.
    assert found.losses == seen[:-1]
    assert found.rates == pytest.approx([RATE] * 6, rel=0.02)
    assert [row["name"] for row in found.rows["optimizer"]] == ["updates by hand"]


def test_gradients_cleared_before_the_backward_are_the_same_steps(tmp_path: Path) -> None:
    def loop() -> None:
        model = net()
        for step in range(6):
            loss = loss_of(model, step)
            model.zero_grad()
            loss.backward()
            by_data(model)

    found = examine(tmp_path, loop)
    assert found.rates == pytest.approx([RATE] * 5, rel=0.02)
    assert found.rows["clearing"][0]["facts"]["uncleared"] == 0


def test_gradients_that_are_never_cleared_are_seen(tmp_path: Path) -> None:
    found = examine(tmp_path, lambda: train(by_data, lambda _: None))
    facts = found.rows["clearing"][0]["facts"]
    assert facts["uncleared"] == facts["intervals"] >= 4


class Momentum:
    """An optimizer of the user's own that is none of torch's."""

    def __init__(self, parameters: Any, momentum: float) -> None:
        self.parameters = list(parameters)
        self.momentum = momentum
        self.velocity = [torch.zeros_like(p) for p in self.parameters]

    @torch.no_grad()
    def step(self) -> None:
        for p, v in zip(self.parameters, self.velocity, strict=True):
            v.mul_(self.momentum).add_(p.grad)
            p -= RATE * v

    def zero_grad(self) -> None:
        for p in self.parameters:
            p.grad = None


@pytest.mark.parametrize(("momentum", "rate"), [(0.0, RATE), (0.9, 0.0)], ids=["plain", "momentum"])
def test_an_optimizer_of_the_user_s_own_has_a_rate_only_if_it_is_plain(
    momentum: float, rate: float, tmp_path: Path
) -> None:
    def loop() -> None:
        model = net()
        optimizer = Momentum(model.parameters(), momentum)
        for step in range(8):
            optimizer.zero_grad()
            loss_of(model, step).backward()
            optimizer.step()

    found = examine(tmp_path, loop)
    assert len(found.losses) == 7
    assert found.rates[-1] == pytest.approx(rate, rel=0.02)


def test_the_sign_of_the_gradient_is_no_rate_times_the_gradient(tmp_path: Path) -> None:
    def loop() -> None:
        weight = torch.zeros(5, 2, requires_grad=True)
        for _ in range(4):
            nn.functional.cross_entropy(X @ weight, Y).backward()
            with torch.no_grad():
                weight.sub_(RATE * gradient(weight).sign())
            weight.grad = None

    assert examine(tmp_path, loop).rates == [0.0] * 3


def test_a_rate_that_falls_is_followed(tmp_path: Path) -> None:
    def loop() -> None:
        model = net()
        for step in range(6):
            model.zero_grad()
            loss_of(model, step).backward()
            with torch.no_grad():
                for p in model.parameters():
                    assert p.grad is not None
                    p -= RATE * 0.5**step * p.grad  # type: ignore[misc]

    assert examine(tmp_path, loop).rates == pytest.approx([RATE * 0.5**step for step in range(5)], rel=0.02)


def test_no_update_is_no_step_however_many_backwards(tmp_path: Path) -> None:
    def loop() -> None:
        model = net()
        for step in range(12):
            loss_of(model, step).backward()

    assert examine(tmp_path, loop).losses == []


def test_accumulated_gradients_make_one_step(tmp_path: Path) -> None:
    def loop() -> None:
        model = net()
        for step in range(12):
            loss_of(model, step).backward()
            if step % 4 == 3:
                by_data(model)
                model.zero_grad()
        loss_of(model)

    found = examine(tmp_path, loop)
    assert len(found.losses) == 3
    assert found.rates == pytest.approx([RATE] * 3, rel=0.02)


@pytest.mark.parametrize(
    "accumulated",
    [2, 8],
)
def test_an_optimizer_that_steps_late_is_not_taken_for_updates_by_hand(accumulated: int, tmp_path: Path) -> None:
    def loop() -> None:
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
        for step in range(3 * accumulated):
            (loss_of(model, step) / accumulated).backward()
            if step % accumulated == accumulated - 1:
                optimizer.step()
                optimizer.zero_grad()

    found = examine(tmp_path, loop)
    assert [(row["name"], row["steps"]) for row in found.rows["optimizer"]] == [("SGD", 3)]
    counts = [row["backwards"] for row in found.rows["step"]]
    assert [after - before for before, after in pairwise(counts)] == [accumulated] * 2


def clip_weights(model: nn.Module, _: nn.Module) -> None:
    for p in model.parameters():
        p.data.clamp_(-0.1, 0.1)


def average(model: nn.Module, averaged: nn.Module) -> None:
    with torch.no_grad():
        for p, q in zip(model.parameters(), averaged.parameters(), strict=True):
            q.mul_(0.9).add_(p, alpha=0.1)


def pull_back(model: nn.Module, averaged: nn.Module) -> None:
    for p, q in zip(model.parameters(), averaged.parameters(), strict=True):
        p.data.lerp_(q.data, 0.5)


@pytest.mark.parametrize("between", [clip_weights, average, pull_back])
@pytest.mark.parametrize(
    "accumulated",
    [1, 5],
)
def test_what_else_is_done_to_weights_of_an_optimizer_is_no_step(
    between: Callable[[nn.Module, nn.Module], None], accumulated: int, tmp_path: Path
) -> None:
    def loop() -> None:
        model, averaged = net(), net()
        optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
        for step in range(4 * accumulated):
            loss_of(model, step).backward()
            if step % accumulated == accumulated - 1:
                optimizer.step()
                optimizer.zero_grad()
                between(model, averaged)

    found = examine(tmp_path, loop)
    assert [(row["name"], row["steps"]) for row in found.rows["optimizer"]] == [("SGD", 4)]
    assert found.rates == [RATE] * 4


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))])
def test_a_copied_optimizer_is_an_optimizer(copied: Callable[[Any], Any], tmp_path: Path) -> None:
    def loop() -> None:
        model, optimizer = copied((model := net(), torch.optim.SGD(model.parameters(), lr=RATE)))
        for step in range(4):
            loss_of(model, step).backward()
            optimizer.step()
            optimizer.zero_grad()

    found = examine(tmp_path, loop)
    assert [(row["name"], row["steps"]) for row in found.rows["optimizer"]] == [("SGD", 4)]


# gradients that are handed out


def autograd_in_place(steps: int) -> list[float]:
    model = net()
    parameters = list(model.parameters())
    losses = []
    for step in range(steps):
        loss = loss_of(model, step)
        losses.append(loss.item())
        gradients = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            for p, g in zip(parameters, gradients, strict=True):
                p -= RATE * g  # type: ignore[misc]
    return losses


def autograd_replaced(steps: int) -> list[float]:
    torch.manual_seed(0)
    weight = (0.1 * torch.randn(5, 2)).requires_grad_()
    bias = torch.zeros(2, requires_grad=True)
    losses = []
    for _ in range(steps):
        loss = nn.functional.cross_entropy(X @ weight + bias, Y)
        losses.append(loss.item())
        along_weight, along_bias = torch.autograd.grad(loss, (weight, bias))
        weight = (weight - RATE * along_weight).detach().requires_grad_()
        bias = (bias - RATE * along_bias).detach().requires_grad_()
    return losses


def functional_loss(parameters: dict[str, torch.Tensor], model: nn.Module) -> torch.Tensor:
    return nn.functional.cross_entropy(functional_call(model, parameters, (X,)), Y)


def by_grad_and_value(steps: int) -> list[float]:
    model = net()
    parameters = {k: p.detach() for k, p in model.named_parameters()}
    losses = []
    for _ in range(steps):
        gradients, loss = torch.func.grad_and_value(functional_loss)(parameters, model)
        losses.append(loss.item())
        parameters = {k: p - RATE * gradients[k] for k, p in parameters.items()}
    return losses


def by_func_grad(steps: int) -> list[float]:
    model = net()
    parameters = {k: p.detach() for k, p in model.named_parameters()}
    gradients_of = torch.func.grad(functional_loss)
    losses = []
    for _ in range(steps):
        losses.append(functional_loss(parameters, model).item())
        gradients = gradients_of(parameters, model)
        for k, p in parameters.items():
            p -= RATE * gradients[k]
    return losses


HANDED_OUT: dict[str, Callable[[int], list[float]]] = {
    "autograd.grad in place": autograd_in_place,
    "autograd.grad, new tensors": autograd_replaced,
    "func.grad_and_value": by_grad_and_value,
    "func.grad in place": by_func_grad,
}


@pytest.mark.parametrize("loop", HANDED_OUT)
def test_gradients_that_are_handed_out_lead_to_steps(loop: str, tmp_path: Path) -> None:
    seen: list[float] = []
    found = examine(tmp_path, lambda: seen.extend(HANDED_OUT[loop](7)))
    assert seen == HANDED_OUT[loop](7)
    assert found.rates == pytest.approx([RATE] * 6, rel=0.02)
    if loop != "func.grad in place":  # which never says what its function gave
        assert found.losses == seen[:-1]


def test_gradients_for_something_else_are_no_step(tmp_path: Path) -> None:
    def loop() -> None:
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
        for _ in range(4):
            x = X.clone().requires_grad_()
            [along] = torch.autograd.grad(model(x).sum(), x, create_graph=True)
            (loss_of(model) + along.pow(2).mean()).backward()
            optimizer.step()
            optimizer.zero_grad()

    found = examine(tmp_path, loop)
    assert [(row["name"], row["steps"]) for row in found.rows["optimizer"]] == [("SGD", 4)]


def test_an_image_that_is_optimized_by_hand_is_what_is_trained(tmp_path: Path) -> None:
    def loop() -> None:
        model = net().requires_grad_(False)
        image = torch.zeros(3, 5, requires_grad=True)
        for _ in range(6):
            loss = (model(image) - 1).pow(2).mean()
            [along] = torch.autograd.grad(loss, image)
            with torch.no_grad():
                image -= RATE * along

    assert examine(tmp_path, loop).rates == pytest.approx([RATE] * 5, rel=0.02)


# the measured rate


@given(
    rows=st.integers(1, 40),
    columns=st.integers(1, 40),
    rate=st.floats(1e-4, 10.0),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.float16, torch.bfloat16]),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_rate_is_measured_within_two_percent(
    rows: int, columns: int, rate: float, dtype: torch.dtype, seed: int, tmp_path: Path
) -> None:
    def loop() -> None:
        generator = torch.Generator().manual_seed(seed)
        weight = torch.zeros(rows, columns, dtype=dtype, requires_grad=True)
        pull = torch.randn(rows, columns, generator=generator).to(dtype)
        for _ in range(2):
            (weight * pull).sum().backward()
            with torch.no_grad():
                assert weight.grad is not None
                weight -= rate * weight.grad
                weight.grad = None

    [measured] = examine(tmp_path, loop).rates
    assert measured == pytest.approx(rate, rel=0.02)


def at_rate(rate: float, steps: int) -> list[float]:
    """What plain training at this rate gives."""
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    losses = []
    for _ in range(steps):
        loss = loss_of(model)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return losses


def test_a_trial_at_a_rate_is_training_at_that_rate(tmp_path: Path) -> None:
    def loop() -> None:
        model = net()
        while True:
            model.zero_grad()
            loss_of(model).backward()
            by_data(model)

    found = examine(tmp_path, loop, steps=10, probes=True, seconds=6.0)
    assert found.stopped == "stopped"
    rows = sorted(
        (each for each in found.rows["trial"] if each["probe"] == "learning-rate"), key=lambda row: row["step"]
    )
    trials = [(rate, [row["loss"] for row in trial]) for rate, trial in groupby(rows, key=lambda row: row["setting"])]
    assert len(trials) >= 8
    for rate, losses in trials:
        if rate <= 8 * RATE:  # higher up, rounding grows from step to step
            assert losses == pytest.approx(at_rate(rate, len(losses)), rel=0.02, abs=1e-3)
