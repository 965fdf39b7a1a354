"""What is recorded of a training, at which steps, and what of it the figures are."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import dnndoctor
from dnndoctor.recorder.session import Watching
from dnndoctor.recorder.step import StepRecord

X = torch.linspace(-2, 2, 96 * 8).reshape(96, 8).sin()
Y = torch.arange(96) % 3
Step = Callable[[], float]


def network() -> Any:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))


def stepping(model: nn.Module, optimizer: torch.optim.Optimizer) -> Step:
    def step() -> float:
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(X), Y)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return loss.item()

    return step


class Told:
    """A listener that keeps what it hears; and every value that goes into the store, by the name of its series."""

    def __init__(self, watching: Watching) -> None:
        self.records: list[StepRecord] = []
        self.values: dict[str, dict[int, float]] = {}
        self._names: dict[int, str] = {}
        recorder = watching.recorder
        store: Any = recorder.store
        declare, add = store.series, store.add
        self._names.update({number: name for name, number in recorder._curves._numbers.items()})

        def series(name: str, role: str, **facts: Any) -> int:
            number: int = declare(name, role, **facts)
            self._names[number] = name
            return number

        def added(step: int, time: float, numbers: Any, values: Any) -> None:
            for number, value in zip(numbers, values, strict=True):
                self.values.setdefault(self._names[number], {})[step] = value
            add(step, time, numbers, values)

        store.series, store.add = series, added
        recorder.add_listener(self)

    def began(self, step: int, inputs: tuple[Any, ...]) -> None:
        assert inputs

    def stepped(self, record: StepRecord) -> None:
        self.records.append(record)

    def closed(self, outcome: str, error: BaseException | None) -> None:
        self.outcome = outcome


@pytest.fixture
def watched(tmp_path: Path) -> Any:
    opened: list[Watching] = []

    def watch(*args: Any, **options: Any) -> tuple[Watching, Told]:
        watching = dnndoctor.watch(*args, path=tmp_path / f"{len(opened)}.dnnrec", **options)
        opened.append(watching)
        return watching, Told(watching)

    yield watch
    for each in opened:
        each.close()
        assert each.recorder.failure is None


def sleeping(watching: Watching, steps: int) -> None:
    """As where steps are too small for more than their loss."""
    cadence: Any = watching.recorder.cadence
    cadence.choose = lambda _: []
    cadence.skip = lambda _: steps


def test_every_loss_is_kept_while_all_else_sleeps(watched: Any) -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    watching, told = watched(model, optimizer)
    sleeping(watching, 20)
    step = stepping(model, optimizer)
    losses = [step() for _ in range(50)]
    assert len(told.records) <= 4
    watching.close()
    assert [told.values["loss"][at] for at in range(50)] == pytest.approx(losses)
    assert told.outcome == "finished"


def test_a_loss_that_is_not_finite_wakes_the_recorder_at_its_own_step(watched: Any) -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    watching, told = watched(model, optimizer)
    sleeping(watching, 1000)
    step = stepping(model, optimizer)
    for _ in range(10):
        step()
    with torch.no_grad():
        model[0].weight[0, 0] = math.nan
    step()
    assert math.isnan(told.values["loss"][10])
    step()
    assert told.records[-1].step == 11  # in full
    assert math.isnan(told.records[-1].grad_norm)


def test_where_steps_are_tiny_losses_too_are_taken_now_and_then(watched: Any) -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    watching, told = watched(model, optimizer)
    sleeping(watching, 41)
    watching.recorder.cadence.every_loss = 10
    step = stepping(model, optimizer)
    for _ in range(120):
        step()
    watching.close()
    assert watching.recorder.step == 120
    assert 8 <= len(told.values["loss"]) <= 20


def test_figures_are_those_of_whole_tensors_where_these_are_small(watched: Any) -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    _, told = watched(model, optimizer, overhead=1)
    step = stepping(model, optimizer)
    step()
    step()
    before = model[2].weight.detach().clone()
    hidden = model[1](model[0](X)).detach()
    step()
    gradient = model[2].weight.grad
    assert gradient is not None
    moved = (model[2].weight.detach() - before).norm() / before.norm()
    norm = torch.stack([p.grad.norm() for p in model.parameters() if p.grad is not None]).norm()
    found = {name: values[2] for name, values in told.values.items() if 2 in values}
    assert found["gradient norm"] == pytest.approx(float(norm), rel=1e-5)
    assert found["gradient of 2.weight"] == pytest.approx(float(gradient.square().mean().sqrt()), rel=1e-5)
    assert found["update ratio of 2.weight"] == pytest.approx(float(moved), rel=1e-4)
    assert found["weight of 2.weight"] == pytest.approx(float(before.square().mean().sqrt()), rel=1e-5)
    assert found["zero share of 1"] == pytest.approx(float((hidden == 0).float().mean()), abs=0.03)
    assert found["std of 1"] == pytest.approx(float(hidden.std()), rel=0.05)
    assert told.records[2].batch_size == 96


def test_units_that_no_sample_makes_active_are_dead(watched: Any) -> None:
    model = network()
    with torch.no_grad():
        model[0].bias[:4] = -100.0
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
    _, told = watched(model, optimizer, overhead=1)
    step = stepping(model, optimizer)
    for _ in range(4):
        step()
    silent = float((model[1](model[0](X)) == 0).all(dim=0).float().mean())
    assert silent >= 0.25
    assert told.values["dead share of 1"][3] == pytest.approx(silent)


def test_channels_of_a_convolution_in_one_dimension_are_its_units(watched: Any) -> None:
    torch.manual_seed(0)
    model: Any = nn.Sequential(nn.Conv1d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 3))
    with torch.no_grad():
        model[0].bias[0] = -100.0
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
    _, told = watched(model, optimizer, overhead=1)
    for _ in range(3):
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(X[:, None]), Y)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    silent = float((model[1](model[0](X[:, None])) == 0).all(dim=2).all(dim=0).float().mean())
    assert 0 < silent < 1
    assert told.values["dead share of 1"][2] == pytest.approx(silent)


@pytest.mark.parametrize("overhead", [1, 0.01])
def test_a_closure_is_one_step_with_the_loss_before_it(watched: Any, overhead: float) -> None:
    model = network()
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=5)
    watching, told = watched(model, optimizer, overhead=overhead)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(X), Y)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    losses = [optimizer.step(closure).item() for _ in range(4)]  # type: ignore[no-untyped-call]
    watching.close()
    assert [told.values["loss"][at] for at in range(4)] == pytest.approx(losses)
    assert told.values["gradient norm"][0] > 0


def test_steps_that_a_scaler_leaves_out_are_steps_without_figures(watched: Any) -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
    watching, told = watched(model, optimizer, overhead=1)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**126, growth_interval=1000)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(X), Y) * 1e3
        scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        scaler.step(optimizer)
        scaler.update()
        losses.append(loss.item())
    watching.close()
    left_out = watching.recorder.left_out
    assert 0 < left_out < 20
    assert watching.recorder.step == 30
    assert [told.values["loss"][at] for at in range(30)] == pytest.approx(losses)  # not the scaled ones
    assert min(told.values["gradient norm"]) >= left_out
    assert max(told.values["gradient norm"].values()) < 1e6  # of unscaled gradients


def test_parameters_that_join_later_are_followed(watched: Any) -> None:
    body, head = network(), nn.Linear(3, 3)
    body.requires_grad_(False)
    optimizer = torch.optim.SGD(head.parameters(), lr=0.1)
    _, told = watched((body, head), optimizer, overhead=1)
    for at in range(6):
        if at == 3:
            body[2].requires_grad_(True)
            optimizer.add_param_group({"params": body[2].parameters()})
        optimizer.zero_grad()
        loss = functional.cross_entropy(head(body(X)), Y)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert min(told.values["gradient of 2.weight"]) == 3


def test_evaluations_between_steps_give_a_validation_loss(watched: Any) -> None:
    model, criterion = network(), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loader = DataLoader(TensorDataset(X[:64], Y[:64]), batch_size=16)
    held_out = DataLoader(TensorDataset(X[64:], Y[64:]), batch_size=16)
    watching, told = watched(model, optimizer)
    sleeping(watching, 7)
    expected: dict[str, dict[int, float]] = {"loss of evaluation": {}, "loss of evaluation on training data": {}}
    for epoch in range(3):
        model.train()
        for x, y in loader:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            for name, data in zip(expected, (held_out, loader), strict=True):
                batches = [float(criterion(model(x), y)) for x, y in data]
                expected[name][4 * (epoch + 1)] = sum(batches) / len(batches)
    watching.close()
    for name, values in expected.items():
        assert told.values[name] == pytest.approx(values)


def test_the_program_s_own_validation_loss_stands_alone(watched: Any) -> None:
    model, criterion = network(), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    watching, told = watched(model, optimizer)
    step = stepping(model, optimizer)
    for _ in range(3):
        model.train()
        step()
        model.eval()
        watching.log("val_loss", 1.0)
        with torch.no_grad():
            criterion(model(X), Y)
    watching.close()
    assert "val_loss" in told.values
    assert "loss of evaluation" not in told.values
