"""Which optimizer's steps are counted when several are at work, one after the other or in turns."""

# mypy: disable-error-code="no-untyped-call, no-any-return"
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.observe.watching import Examination, examine

X = torch.randn(24, 5, generator=torch.Generator().manual_seed(1))
Y = (X.sum(1) > 0).long()


def net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 2))


def steps(model: nn.Module, optimizer: torch.optim.Optimizer, count: int, seen: list[float]) -> None:
    for _ in range(count):
        loss = nn.functional.cross_entropy(model(X), Y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen.append(loss.item())


def freeze_then_unfreeze(seen: list[float], counts: tuple[int, ...]) -> None:
    model = net()
    model[0].requires_grad_(False)
    steps(model, torch.optim.Adam(model[2].parameters(), lr=0.01), counts[0], seen)
    model[0].requires_grad_(True)
    steps(model, torch.optim.SGD(model.parameters(), lr=0.001), counts[1], seen)


def distillation(seen: list[float], counts: tuple[int, ...]) -> None:
    teacher, student = net(), nn.Linear(5, 2)
    steps(teacher, torch.optim.Adam(teacher.parameters(), lr=0.01), counts[0], seen)
    optimizer = torch.optim.SGD(student.parameters(), lr=0.1)
    for _ in range(counts[1]):
        with torch.no_grad():
            target = teacher(X).softmax(1)
        loss = nn.functional.kl_div(student(X).log_softmax(1), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen.append(loss.item())


def folds(seen: list[float], counts: tuple[int, ...]) -> None:
    for count in counts:
        model = net()
        steps(model, torch.optim.Adam(model.parameters(), lr=0.01), count, seen)


@pytest.mark.parametrize(
    ("train", "counts"),
    [(freeze_then_unfreeze, (5, 12)), (distillation, (6, 11)), (folds, (8, 8, 8))],
    ids=["unfrozen", "distilled", "folds"],
)
def test_an_optimizer_built_later_takes_the_lead(
    train: Callable[[list[float], tuple[int, ...]], None], counts: tuple[int, ...], tmp_path: Path
) -> None:
    seen: list[float] = []
    found = examine(tmp_path, lambda: train(seen, counts))
    # The first steps of a new optimizer could still be those of one beside the old one.
    late = 3 * (len(counts) - 1)
    assert sum(counts) - late <= len(found.losses) <= sum(counts)
    assert found.losses[: counts[0]] == seen[: counts[0]]
    assert found.losses[-3:] == seen[-3:]
    assert found.rows["optimizer"][0]["steps"] == counts[-1]
    assert sorted(row["steps"] for row in found.rows["optimizer"]) == sorted(counts)


@pytest.mark.parametrize("train", [freeze_then_unfreeze, distillation, folds])
def test_every_recorded_loss_is_that_of_one_step(
    train: Callable[[list[float], tuple[int, ...]], None], tmp_path: Path
) -> None:
    seen: list[float] = []
    found = examine(tmp_path, lambda: train(seen, (5, 9)))
    assert set(found.losses) <= set(seen)


def test_each_gets_as_many_steps_as_the_first(tmp_path: Path) -> None:
    seen: list[float] = []
    found = examine(tmp_path, lambda: distillation(seen, (6, 10**6)), steps=20)
    assert found.stopped == "stopped"
    assert found.rows["optimizer"][0]["steps"] >= 20
    assert len(seen) < 100


@pytest.mark.parametrize(("critic", "generator"), [(5, 1), (1, 5), (10, 1), (1, 1)])
@pytest.mark.parametrize("first", ["critic", "generator"])
def test_networks_that_take_turns_do_not_take_the_lead(critic: int, generator: int, first: str, tmp_path: Path) -> None:
    def loop() -> None:
        made, judged = net(), nn.Linear(2, 1)
        optimizers = {
            "generator": torch.optim.Adam(made.parameters(), lr=1e-3),
            "critic": torch.optim.Adam(judged.parameters(), lr=1e-3),
        }
        turns = {"critic": critic, "generator": generator}
        order = [first, *(name for name in turns if name != first)]
        for _ in range(4):
            for name in order:
                for _ in range(turns[name]):
                    sign = 1 if name == "critic" else -1
                    loss = sign * judged(made(X)).mean()
                    optimizers[name].zero_grad()
                    loss.backward()
                    optimizers[name].step()

    found = examine(tmp_path, loop)
    counts = {"critic": 4 * critic, "generator": 4 * generator}
    second = "generator" if first == "critic" else "critic"
    assert [row["steps"] for row in found.rows["optimizer"]] == [counts[first], counts[second]]
    assert len(found.losses) == counts[first]


def test_two_optimizers_of_one_loss_are_one_step(tmp_path: Path) -> None:
    seen: list[float] = []

    def loop() -> None:
        model = net()
        optimizers = [torch.optim.SGD(model[0].parameters(), lr=0.1), torch.optim.Adam(model[2].parameters(), lr=0.01)]
        for _ in range(8):
            loss = nn.functional.cross_entropy(model(X), Y)
            model.zero_grad()
            loss.backward()
            for each in optimizers:
                each.step()
            seen.append(loss.item())

    found = examine(tmp_path, loop)
    assert found.losses == seen
    assert [(row["name"], row["steps"]) for row in found.rows["optimizer"]] == [("SGD", 8), ("Adam", 8)]


def test_an_optimizer_built_anew_for_every_step_is_a_loop_all_the_same(tmp_path: Path) -> None:
    seen: list[float] = []

    def loop() -> None:
        model = net()
        for _ in range(12):
            steps(model, torch.optim.SGD(model.parameters(), lr=0.1), 1, seen)

    found: Examination = examine(tmp_path, loop)
    assert len(found.losses) >= 10
