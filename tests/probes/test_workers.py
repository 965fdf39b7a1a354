"""The loader's speed with other numbers of workers; the script's own loader and streams stay as they are."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from dnndoctor.observe import device
from tests.probes.outside_of import probed


class Slow(Dataset[Any]):
    def __init__(self, seconds: float, length: int = 96) -> None:
        self.seconds, self.length, self.reads = seconds, length, 0

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Any:
        self.reads += 1
        time.sleep(self.seconds)
        return torch.full((4,), float(index)), index % 2


def trained(loader: Any, slow: float = 0.0) -> None:
    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for x, y in loader:
        optimizer.zero_grad()
        time.sleep(slow)
        loss: Any = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()


@pytest.mark.skipif(device.cpus() < 2, reason="workers need a second core")
def test_workers_are_timed_where_the_loop_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "active_count", lambda: 1)  # those of other tests in this process are not the loop's
    generator = torch.Generator().manual_seed(3)
    data = Slow(0.005)
    loader = DataLoader(data, batch_size=8, shuffle=True, generator=generator)
    kept: list[Any] = []

    def state() -> None:
        kept.append([generator.get_state().tolist(), torch.get_rng_state().tolist(), data.reads, vars(loader).copy()])

    def loop() -> None:
        trained(loader)
        state()

    facts, rows = probed(tmp_path, "workers", loop, seconds=100.0, after=state)
    assert facts["wait_share"] > 0.3  # nearly all on an idle machine
    assert facts["workers"] == 0
    assert [each["workers"] for each in facts["points"]] == [w for w in (1, 2, 4, 8) if w <= device.cpus()]
    assert all(each["batches"] > 1 and each["batch_seconds"] > 0 for each in facts["points"])
    assert kept[0] == kept[1]
    assert len(rows["loader"]) == 1


def test_a_loop_that_hardly_waits_is_left_alone(tmp_path: Path) -> None:
    data = TensorDataset(torch.zeros(96, 4), torch.zeros(96, dtype=torch.long))
    facts, _ = probed(tmp_path, "workers", lambda: trained(DataLoader(data, batch_size=48), 0.3))
    assert facts["points"] == []
    assert facts["untried"] == "the loop hardly waits for data"


@pytest.mark.skipif(device.cpus() < 2, reason="workers need a second core")
def test_few_samples_are_not_worth_a_worker(tmp_path: Path) -> None:
    facts, _ = probed(tmp_path, "workers", lambda: trained(DataLoader(Slow(0.01, 16), batch_size=4)))
    assert facts["points"] == []
    assert facts["untried"] == "there are only few samples"


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Any:
        for index in range(12):
            time.sleep(0.002)
            yield torch.ones(4), index % 2


def test_a_stream_is_left_alone(tmp_path: Path) -> None:
    facts, _ = probed(tmp_path, "workers", lambda: trained(DataLoader(Stream(), batch_size=4)))
    assert facts["points"] == []
    assert "stream" in facts["untried"] or "one core" in facts["untried"]


def test_a_loop_without_a_loader_has_no_wait(tmp_path: Path) -> None:
    batches = [(torch.randn(4, 4), torch.zeros(4, dtype=torch.long)) for _ in range(4)]
    facts, _ = probed(tmp_path, "workers", lambda: trained(batches))
    assert "wait_seconds" not in facts
    assert facts["threads"] == torch.get_num_threads()


def test_more_threads_than_cores_are_timed_and_kept(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(device.cpus() + 2)
    try:
        batches = [(torch.randn(4, 4), torch.zeros(4, dtype=torch.long)) for _ in range(4)]
        facts, _ = probed(tmp_path, "workers", lambda: trained(batches))
        assert torch.get_num_threads() == device.cpus() + 2
    finally:
        torch.set_num_threads(before)
    assert facts["threads"] == device.cpus() + 2
    assert "untried" not in facts
