"""Training in a thread is training; threads beside it do not disturb it."""

# mypy: disable-error-code="no-untyped-call, no-any-return"
from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from tests.observe.watching import examine

X = torch.randn(24, 5, generator=torch.Generator().manual_seed(1))
Y = (X.sum(1) > 0).long()


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 2))


def train(steps: int = 6) -> list[float]:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = []
    for x, y in list(DataLoader(TensorDataset(X, Y), batch_size=4))[:steps]:
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def train_by_hand(steps: int = 6) -> list[float]:
    model = net()
    losses = []
    for _ in range(steps + 1):
        loss = nn.functional.cross_entropy(model(X), Y)
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for p in model.parameters():
                assert p.grad is not None
                p -= 0.1 * p.grad  # type: ignore[misc]
        losses.append(loss.item())
    return losses


def in_thread(work: Callable[[], Any]) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


@pytest.mark.parametrize("loop", [train, train_by_hand])
def test_training_in_a_thread_is_seen_as_in_the_main_one(loop: Callable[[], list[float]], tmp_path: Path) -> None:
    here, there = examine(tmp_path, loop), examine(tmp_path, lambda: in_thread(loop))
    assert there.losses == here.losses == loop()[:6]
    keys = ("name", "module", "parameters", "inputs")
    assert [[row[k] for k in keys] for row in there.rows["operation"]] == [
        [row[k] for k in keys] for row in here.rows["operation"]
    ]
    assert [row["batch_size"] for row in there.rows["step"]] == [row["batch_size"] for row in here.rows["step"]]
    assert there.rows["event"] == []


def test_model_and_optimizer_of_the_main_thread_trained_in_another(tmp_path: Path) -> None:
    def loop() -> None:
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        with torch.no_grad():
            model(X)

        def work() -> None:
            for _ in range(5):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(X), Y).backward()
                optimizer.step()

        in_thread(work)

    found = examine(tmp_path, loop)
    assert len(found.losses) == 5
    assert {row["name"] for row in found.rows["operation"]} >= {"linear", "tanh", "cross_entropy"}


def test_forward_in_one_thread_and_backward_in_another_is_no_event(tmp_path: Path) -> None:
    seen: list[float] = []

    def loop() -> None:
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        with ThreadPoolExecutor(1) as pool:
            for _ in range(5):
                loss = pool.submit(lambda: nn.functional.cross_entropy(model(X), Y)).result()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                seen.append(loss.item())

    found = examine(tmp_path, loop)
    assert found.rows["event"] == []
    assert len(found.losses) == 5
    assert [each for each in found.losses if each is not None] == seen[
        -sum(each is not None for each in found.losses) :
    ]


def test_backward_in_a_thread_and_step_in_the_main_one_is_no_event(tmp_path: Path) -> None:
    def loop() -> None:
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        with ThreadPoolExecutor(1) as pool:
            for _ in range(5):
                optimizer.zero_grad()
                pool.submit(nn.functional.cross_entropy(model(X), Y).backward).result()
                optimizer.step()

    found = examine(tmp_path, loop)
    assert len(found.losses) == 5
    assert found.rows["event"] == []


def test_a_second_model_in_a_thread_beside_does_not_disturb(tmp_path: Path) -> None:
    stop = threading.Event()
    beside: list[int] = []

    def serve() -> None:
        other = nn.Sequential(nn.Linear(5, 3), nn.ReLU())
        optimizer = torch.optim.Adam(other.parameters())
        while not stop.is_set() or not beside:
            other(X).sum().backward()
            optimizer.step()
            beside.append(1)

    def loop() -> list[float]:
        losses = train(1)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            losses += train()
        finally:
            stop.set()
            thread.join()
        return losses

    found = examine(tmp_path, loop)
    assert found.losses[:1] == train(1)
    assert found.rows["event"] == []
    assert beside
    assert {row["name"] for row in found.rows["optimizer"]} == {"SGD"}


def test_prefetching_in_a_thread_gives_the_same_batches(tmp_path: Path) -> None:
    def loop() -> list[float]:
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        batches = iter(DataLoader(TensorDataset(X, Y), batch_size=4))
        losses = []
        with ThreadPoolExecutor(1) as pool:
            while (batch := pool.submit(lambda: next(batches, None)).result()) is not None:
                loss = nn.functional.cross_entropy(model(batch[0]), batch[1])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
        return losses

    seen: list[float] = []
    found = examine(tmp_path, lambda: seen.extend(loop()))
    assert found.losses == seen == loop()


def test_two_threads_that_train_one_after_the_other(tmp_path: Path) -> None:
    """The first is watched; what the second does is its own, and no event."""
    found = examine(tmp_path, lambda: (in_thread(train), in_thread(train)))
    assert found.losses[:6] == train()
    assert found.rows["event"] == []
