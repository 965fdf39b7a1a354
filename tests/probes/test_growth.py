# mypy: disable-error-code="no-untyped-call"
"""Trainings of copies: they are the user's training, they find over-fitting where it is, and they leave no trace."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - as users write it
from torch.utils.data import DataLoader, TensorDataset

from dnndoctor.observe.watch import Watch
from dnndoctor.probes import overfitting, regularization, warm_start, width
from dnndoctor.probes.course import Course, follow, side_by_side, split
from dnndoctor.probes.room import Room, Unable
from dnndoctor.probes.task import Task, supervision, task_of
from tests.observe.watching import watching

Losses = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def table(rows: int = 80, features: int = 20) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs and classes of which nothing but the first feature tells, and that not always."""
    torch.manual_seed(0)
    x = torch.randn(rows, features)
    return x, (x[:, 0] + torch.randn(rows) > 0).long()


def wide() -> nn.Module:
    return nn.Sequential(nn.Linear(20, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 2))


def train(
    model: nn.Module,
    x: torch.Tensor,
    y: torch.Tensor,
    loss: Losses = F.cross_entropy,
    optimizer: torch.optim.Optimizer | None = None,
    steps: int = 24,
    batch: int = 16,
) -> None:
    """A plain loop over shuffled batches."""
    optimizer = optimizer or torch.optim.Adam(model.parameters(), lr=3e-3)
    loader = DataLoader(TensorDataset(x, y), batch_size=batch, shuffle=True)
    for _ in range(-(-steps // len(loader))):
        for inputs, targets in loader:
            optimizer.zero_grad()
            loss(model(inputs), targets).backward()
            optimizer.step()


def taped(path: Path, loop: Callable[[], Any], use: Callable[[Watch], Any]) -> Any:
    """What ``use`` makes of the watch once the loop is over, with nothing of ours looking any more."""
    with watching(path) as examination:
        loop()
        watch = examination.watch
        watch.observing, watch.inside_backward = False, True
        watch.look(active=False)
        result = use(watch)
        watch.inside_backward = False
    return result


def facts_of(path: Path, loop: Callable[[], Any], *measures: Callable[[Watch, Room], None]) -> list[dict[str, Any]]:
    """The facts that these probes put down, in their order."""
    rows: list[dict[str, Any]] = []

    def use(watch: Watch) -> None:
        put, watch.writer.put = watch.writer.put, lambda _, row: rows.append(row["facts"])  # type: ignore[method-assign,assignment]
        for measure in measures:
            try:
                measure(watch, Room(20.0, 0.001))
            except Unable as why:  # as the runner has it
                rows.append({"missing": str(why)})
        watch.writer.put = put  # type: ignore[method-assign]

    taped(path, loop, use)
    return rows


def reason(path: Path, loop: Callable[[], Any]) -> str:
    """Why a training cannot be repeated."""
    with pytest.raises(Unable) as why:
        taped(path, loop, task_of)
    return str(why.value)


class TwoHeads(nn.Module):
    """Puts out a dictionary, and takes a keyword."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.one, self.other = nn.Linear(20, 8), nn.Linear(8, 2), nn.Linear(8, 1)
        self.drop = nn.Dropout(0.5)

    def forward(self, x: torch.Tensor, scale: float = 1.0) -> dict[str, torch.Tensor]:
        hidden = self.drop(torch.tanh(self.body(x * scale)))
        return {"classes": self.one(hidden), "value": self.other(hidden)}


def both(output: Any, targets: torch.Tensor) -> torch.Tensor:
    value = output["value"].squeeze(1)
    error: torch.Tensor = ((value - targets.float()) ** 2).mean()
    return F.cross_entropy(output["classes"], targets) + 0.5 * error


class Smooth(nn.Module):
    def forward(self, output: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(output.view(-1, 2), targets.view(-1), label_smoothing=0.1, reduction="sum")


@pytest.mark.parametrize(
    ("model", "loss"),
    [
        (wide, F.cross_entropy),
        (wide, lambda output, y: F.nll_loss(torch.log_softmax(output, 1), y) / 4),
        (wide, Smooth()),
        (TwoHeads, both),
        (lambda: nn.Sequential(nn.Linear(20, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 2)), F.cross_entropy),
    ],
    ids=["plain", "written out", "module of sums", "two heads with dropout", "batch norm with dropout"],
)
def test_a_copy_starts_with_the_very_loss_that_the_user_saw(
    tmp_path: Path, model: Callable[[], nn.Module], loss: Losses
) -> None:
    x, y = table()

    def first_losses(watch: Watch) -> tuple[Task, float]:
        recorded = supervision(watch).first_loss
        assert recorded is not None
        return task_of(watch), float(recorded)

    task, recorded = taped(tmp_path, lambda: train(model(), x, y, loss), first_losses)
    assert (task.rows, task.batch) == (80, 16)
    assert task.repeated == task.seen - 80 > 0
    assert recorded > 0


def test_a_sum_is_scored_per_sample(tmp_path: Path) -> None:
    x, y = table()
    rows = torch.arange(60)

    def score(watch: Watch) -> tuple[float, float | None]:
        task = task_of(watch)
        scores = task.scores(task.model(), rows)
        return scores.loss, scores.error

    mean, error = taped(tmp_path, lambda: _seeded(x, y, "mean"), score)
    total, same = taped(tmp_path, lambda: _seeded(x, y, "sum"), score)
    assert total == pytest.approx(mean, rel=1e-5)
    assert error == same
    assert error is not None


def _seeded(x: torch.Tensor, y: torch.Tensor, how: str) -> None:
    torch.manual_seed(3)
    model = wide()
    train(model, x, y, lambda output, targets: F.cross_entropy(output, targets, reduction=how))


def test_other_losses_are_refused_with_the_reason(tmp_path: Path) -> None:
    x, y = table()
    weight = torch.ones(20, requires_grad=True)
    mixing = nn.Sequential(nn.Linear(20, 2), Mixing())

    def contrasted(output: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(output @ output.T, torch.arange(len(output)))

    def penalised(output: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(output, targets) + weight.abs().sum()

    assert "compares the samples" in reason(tmp_path, lambda: train(wide(), x[:64], y[:64], contrasted))
    assert "does not come from one call" in reason(tmp_path, lambda: train(wide(), x, y, penalised))
    assert "depends on the others" in reason(tmp_path, lambda: train(mixing, x, y))
    assert "too few" in reason(tmp_path, lambda: train(wide(), x[:39], y[:39]))
    lbfgs = wide()
    assert "cannot be rebuilt" in reason(
        tmp_path, lambda: _closure(lbfgs, x, y, torch.optim.LBFGS(lbfgs.parameters(), max_iter=1))
    )


class Mixing(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x - x.mean(0)


def _closure(model: nn.Module, x: torch.Tensor, y: torch.Tensor, optimizer: torch.optim.Optimizer) -> None:
    def closure() -> float:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        return float(loss)

    for _ in range(5):
        optimizer.step(closure)


def test_over_fitting_is_measured_and_every_remedy_tried(tmp_path: Path) -> None:
    x, y = table()
    model = wide()
    grown, tried, wider, warm = facts_of(
        tmp_path,
        lambda: train(model, x, y, steps=200),
        overfitting.measure,
        regularization.measure,
        width.measure,
        warm_start.measure,
    )
    held, training = np.asarray(grown["held_out_loss"]), np.asarray(grown["training_loss"])
    assert held.shape == (3, len(grown["marks"]))
    assert training[:, -1].max() < 0.1 < held[:, -1].min()
    assert overfitting.grows(grown)
    assert (grown["rows"], grown["held_out"], grown["length"], grown["augmented"]) == (80, 20, 80, False)
    assert grown["restraints"] == []
    assert [each["kind"] for each in tried["variants"]] == ["dropout", "weight_decay", "dropout", "weight_decay"]
    best = min(np.mean(each["held_out_loss"]) for each in tried["variants"])
    assert best < held[:, -1].mean()
    assert [each["factor"] for each in wider["widths"]] == [1.0, 0.5, 2.0]
    sizes = [each["parameters"] for each in wider["widths"]]
    assert sizes[1] < sizes[0] == sum(each.numel() for each in model.parameters()) < sizes[2]
    assert len(warm["warm"]) == len(warm["scratch"]) == 3


def test_what_is_learned_for_all_samples_is_no_over_fitting(tmp_path: Path) -> None:
    torch.manual_seed(0)
    x = torch.randn(400, 20)
    y = (x[:, 0] > 0).long()
    model = nn.Sequential(nn.Linear(20, 4), nn.ReLU(), nn.Linear(4, 2))
    grown, tried, wider, warm = facts_of(
        tmp_path,
        lambda: train(model, x, y),
        overfitting.measure,
        regularization.measure,
        width.measure,
        warm_start.measure,
    )
    assert not grown["grows"]
    assert tried == warm == {"missing": "no over-fitting was measured"}
    assert "missing" not in wider, wider
    assert [each["factor"] for each in wider["widths"]] == [1.0, 0.5, 2.0]


@pytest.mark.parametrize("forgetful", [False, True])
def test_every_trace_is_gone(tmp_path: Path, forgetful: bool) -> None:
    """The user's model, optimizer, modes and hooks; the random streams are put back by whoever runs the probes."""
    x, y = table()
    model = nn.Sequential(nn.Linear(20, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, 2))
    heard: list[int] = []
    model[0].register_forward_hook(lambda *_: heard.append(1))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    seen: dict[str, Any] = {}

    def state() -> dict[str, Any]:
        return {
            **{name: value.clone() for name, value in model.state_dict().items()},
            **{f"{name}.grad": None if p.grad is None else p.grad.clone() for name, p in model.named_parameters()},
            **{f"{i} {k}": v.clone() for i, each in enumerate(optimizer.state.values()) for k, v in each.items()},
            "modes": [each.training for each in model.modules()],
            "hooks": [len(each._forward_hooks) + len(each._forward_pre_hooks) for each in model.modules()],
            "heard": len(heard),
        }

    def use(watch: Watch) -> None:
        before = state()
        for measure in (overfitting.measure, regularization.measure, width.measure, warm_start.measure):
            with suppress(Unable):
                measure(watch, Room(0.0 if forgetful else 5.0, 0.001))
        seen.update({key: (value, state()[key]) for key, value in before.items()})

    taped(tmp_path, lambda: train(model, x, y, optimizer=optimizer), use)
    for key, (one, other) in seen.items():
        same = torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other
        assert same, key


@pytest.mark.parametrize(
    "model",
    [
        wide,
        lambda: nn.Sequential(
            nn.Linear(20, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 2)
        ),
        lambda: nn.Sequential(
            nn.Unflatten(1, (1, 4, 5)),
            nn.Conv2d(1, 4, 3),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(4 * 6, 8),
            nn.Linear(8, 2),
        ),
    ],
    ids=["linear", "norm", "convolution"],
)
@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
def test_hidden_layers_are_scaled_and_the_output_is_not(
    tmp_path: Path, model: Callable[[], nn.Module], factor: float
) -> None:
    x, y = table()

    def use(watch: Watch) -> tuple[nn.Module, nn.Module, torch.Size]:
        task = task_of(watch)
        twin = width.scaled(task, factor, seed=0)
        output = task.outputs(twin, torch.arange(5))
        return task.model(), twin, output.shape

    one, other, shape = taped(tmp_path, lambda: train(model(), x, y), use)
    assert shape == (5, 2)
    outs = [[m.weight.shape[0] for m in each if isinstance(m, (nn.Linear, nn.Conv2d))] for each in (one, other)]
    assert outs[1][:-1] == [int(each * factor) for each in outs[0][:-1]]
    assert outs[1][-1] == 2


def test_trainings_side_by_side_are_the_same_as_one_after_the_other(tmp_path: Path) -> None:
    x, y = table()
    model = nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 2))

    def use(watch: Watch) -> tuple[list[Course], list[Course]]:
        task = task_of(watch)
        parts = [split(task.rows, 0.25, seed) for seed in (0, 1)]
        alone = [follow(task, task.model(), part, [3, 9], math.inf) for part in parts]
        return side_by_side(task, parts, [3, 9], math.inf), alone

    together, alone = taped(tmp_path, lambda: train(model, x, y), use)
    assert together == alone
    assert together[0] != together[1]


def test_where_the_time_is_short_all_trainings_get_equally_far(tmp_path: Path) -> None:
    x, y = table()

    def use(watch: Watch) -> list[Course]:
        task = task_of(watch)
        parts = [split(task.rows, 0.25, seed) for seed in (0, 1)]
        return side_by_side(task, parts, list(range(1, 100_000)), time.perf_counter() + 0.3)

    one, other = taped(tmp_path, lambda: train(wide(), x, y), use)
    assert len(one.held_out) == len(other.held_out) == len(other.training) > 0
    assert not one.finished


def test_recurrent_models_keep_their_width(tmp_path: Path) -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.head = nn.GRU(5, 8, batch_first=True), nn.Linear(8, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.rnn(x.view(-1, 4, 5))[0][:, -1])  # type: ignore[no-any-return]

    x, y = table()
    with pytest.raises(Unable, match="other parameters than those of linear"):
        taped(tmp_path, lambda: train(Recurrent(), x, y), lambda watch: width.scaled(task_of(watch), 2.0, 0))


def test_dropped_units_are_those_between_the_layers(tmp_path: Path) -> None:
    x, y = table()

    def use(watch: Watch) -> list[int]:
        task = task_of(watch)
        twin = task.model()
        regularization.drop_hidden(task, twin, 0.5)
        return [len(each._forward_pre_hooks) for each in twin.modules() if isinstance(each, nn.Linear)]

    assert taped(tmp_path, lambda: train(wide(), x, y), use) == [0, 1, 1]


def test_the_update_rule_is_the_user_s(tmp_path: Path) -> None:
    """A copy that takes the user's batches in the user's order ends where the user's model ended."""
    x, y = table()
    model = wide()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-3)
    order = [torch.randperm(80)[:16] for _ in range(10)]

    def loop() -> None:
        for rows in order:
            optimizer.zero_grad()
            F.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()

    def use(watch: Watch) -> nn.Module:
        task = task_of(watch)
        twin = task.model()
        update = task.updates(twin)
        for rows in order:
            for each in twin.parameters():
                each.grad = None
            F.cross_entropy(twin(x[rows]), y[rows]).backward()
            update()
        return twin

    twin = taped(tmp_path, loop, use)
    for one, other in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(one, other)


def test_the_loop_goes_on_as_if_nothing_had_been(tmp_path: Path) -> None:
    """Through the whole examination, random streams and all: the same losses as in a run that nobody watches."""
    x, y = table()

    def loop(losses: list[float]) -> None:
        torch.manual_seed(5)
        model = nn.Sequential(nn.Linear(20, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 2))
        optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
        for _ in range(40):
            rows = torch.randperm(80)[:16]
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x[rows] + 0.1 * torch.randn(16, 20)), y[rows])
            loss.backward()
            optimizer.step()
            losses.append(float(loss))

    bare: list[float] = []
    loop(bare)
    seen: list[float] = []
    probes = ("overfitting", "regularization", "width", "pretraining")
    with watching(tmp_path, steps=12, probes=True, only=probes) as examination:
        loop(seen)
    facts = {row["name"]: row["facts"] for row in examination.rows["probe"]}
    assert "missing" not in facts["overfitting"], facts["overfitting"]
    assert len(seen) > 13
    assert seen == bare[: len(seen)]
