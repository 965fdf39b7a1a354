"""The black box: what it holds when something goes wrong, and that its step can be made again bit for bit."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

import dnndoctor
from dnndoctor.recorder import black_box
from dnndoctor.recorder.black_box.affordable import Affordable
from dnndoctor.recorder.black_box.fetches import Fetches
from dnndoctor.recorder.black_box.spikes import FEWEST, Spikes
from dnndoctor.workspace import BadInput

BAD = 37  # the sample that holds a value which is not finite


class Noisy(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Samples that are augmented with noise of all three random streams as they are fetched."""

    def __init__(self, value: float = float("nan")) -> None:
        made = torch.Generator().manual_seed(0)
        self.x = torch.randn(64, 6, generator=made)
        self.y = torch.randint(0, 3, (64,), generator=made)
        self.x[BAD, 2] = value

    def __len__(self) -> int:
        return 64

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        noise = 0.01 * torch.randn(6) + 0.01 * random.random() + 0.01 * float(np.random.rand())
        return self.x[index] + noise, self.y[index]


def built() -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 3))
    return model, torch.optim.Adam(model.parameters(), lr=1e-2)


def loss_of(model: nn.Module, batch: Any) -> torch.Tensor:
    return nn.functional.cross_entropy(model(batch[0]), batch[1])


def gradients(model: nn.Module) -> list[torch.Tensor]:
    return [each.grad.clone() for each in model.parameters() if each.grad is not None]


def same(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return len(one) == len(other) > 0 and all(
        torch.equal(a.view(torch.int32), b.view(torch.int32)) for a, b in zip(one, other, strict=True)
    )


def boxes(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.box"))


@pytest.fixture(autouse=True)
def _streams() -> Iterator[None]:
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()
    torch.manual_seed(3)
    random.seed(3)
    np.random.seed(3)
    yield
    torch.set_rng_state(states[0])
    random.setstate(states[1])
    np.random.set_state(states[2])


def train(folder: Path, data: Any, **options: Any) -> tuple[list[torch.Tensor], int]:
    """Until a loss is not finite; gives the gradients of that step and its number."""
    model, optimizer = built()
    with dnndoctor.watch(model, optimizer, path=folder / "t.dnnrec", overhead=1.0, **options):
        step = 0
        for _epoch in range(3):
            for batch in DataLoader(data, batch_size=8, shuffle=True):
                optimizer.zero_grad()
                loss = loss_of(model, batch)
                torch.autograd.backward(loss)
                if not torch.isfinite(loss):
                    return gradients(model), step
                optimizer.step()
                step += 1
    return [], step


@pytest.mark.parametrize("keep", [False, True])
def test_a_step_that_was_not_finite_is_made_again(tmp_path: Path, keep: bool) -> None:
    data = Noisy()
    was, step = train(tmp_path, data, keep_batches=keep)
    [path] = boxes(tmp_path)
    box = black_box.load(path)
    assert box.step == step == box.weights_step
    assert box.exact
    assert "nan" in box.reason
    assert box.indices is not None
    assert BAD in box.indices
    assert (box.batch is not None) == keep

    torch.manual_seed(99)
    model, optimizer = built()
    batch = box.batch if keep else box.fetch(data)
    assert black_box.digest(batch) == box.batches[box.chosen or 0].digest
    box.restore(model, optimizer)
    torch.autograd.backward(loss_of(model, batch))
    assert same(gradients(model), was)


def break_at(step_that_breaks: int, path: Path, data: Any) -> list[torch.Tensor]:
    """Train until this step raises; gives its gradients."""
    model, optimizer = built()
    with dnndoctor.watch(model, optimizer, path=path, overhead=1.0):
        for step, batch in enumerate(DataLoader(data, batch_size=8)):
            optimizer.zero_grad()
            torch.autograd.backward(loss_of(model, batch))
            if step == step_that_breaks:
                error = ValueError("odd")
                error.__dict__["seen"] = gradients(model)
                raise error
            optimizer.step()
    return []


def test_a_step_that_raised_is_made_again(tmp_path: Path) -> None:
    data = Noisy(0.0)
    with pytest.raises(ValueError, match="odd") as raised:
        break_at(5, tmp_path / "t.dnnrec", data)
    seen = raised.value.__dict__["seen"]
    box = black_box.load(boxes(tmp_path)[0])
    assert (box.step, box.indices, box.reason) == (5, tuple(range(40, 48)), "ValueError: odd")
    assert [each.step for each in box.steps] == [0, 1, 2, 3, 4]
    assert box.steps[-1].figures["gradient of 0.weight"] > 0
    model, optimizer = built()
    batch = box.fetch(data)
    box.restore(model, optimizer)
    torch.autograd.backward(loss_of(model, batch))
    assert same(gradients(model), seen)


def test_the_batch_is_found_although_it_was_given_early(tmp_path: Path) -> None:
    """Loops that prefetch have the next batch before they are through with this one."""
    model, optimizer = built()
    with dnndoctor.watch(model, optimizer, path=tmp_path / "t.dnnrec", overhead=1.0):
        loader = iter(DataLoader(Noisy(), batch_size=8))
        ahead = next(loader)
        for following in loader:
            optimizer.zero_grad()
            loss = loss_of(model, ahead)
            torch.autograd.backward(loss)
            optimizer.step()
            ahead = following
    box = black_box.load(boxes(tmp_path)[0])
    assert (box.step, box.indices) == (BAD // 8, tuple(range(32, 40)))


def test_batches_of_workers_are_known_by_their_indices(tmp_path: Path) -> None:
    model, optimizer = built()
    with dnndoctor.watch(model, optimizer, path=tmp_path / "t.dnnrec", overhead=1.0):
        for batch in DataLoader(Noisy(), batch_size=8, num_workers=2):
            loss = loss_of(model, batch)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
    box = black_box.load(boxes(tmp_path)[0])
    assert (box.step, box.indices) == (BAD // 8, tuple(range(32, 40)))
    assert box.batches[box.chosen or 0].before is None


def test_a_loop_without_a_loader_has_the_inputs(tmp_path: Path) -> None:
    model, optimizer = built()
    data = Noisy()
    with dnndoctor.watch(model, optimizer, path=tmp_path / "t.dnnrec", overhead=1.0, keep_batches=True):
        for start in range(0, 64, 8):
            loss = loss_of(model, (data.x[start : start + 8], data.y[start : start + 8]))
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
    box = black_box.load(boxes(tmp_path)[0])
    assert box.indices is None
    assert box.exact
    assert torch.equal(box.inputs[0].isnan(), data.x[32:40].isnan())
    with pytest.raises(BadInput, match="indices"):
        box.fetch(data)


def test_what_was_changed_in_place_is_not_passed_off_as_the_batch(tmp_path: Path) -> None:
    model, optimizer = built()
    with dnndoctor.watch(model, optimizer, path=tmp_path / "t.dnnrec", overhead=1.0, keep_batches=True):
        for x, y in DataLoader(TensorDataset(Noisy().x, Noisy().y), batch_size=8):
            x.mul_(2)
            loss = loss_of(model, (x, y))
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
    box = black_box.load(boxes(tmp_path)[0])
    assert box.batch is None
    assert any("in place" in each for each in box.notes)


def test_a_loss_that_jumps_leaves_the_step_before_it_is_made(tmp_path: Path) -> None:
    data = Noisy(0.0)
    data.x = data.x.repeat(12, 1)
    data.y = (data.x[:, 0] > 0).long()
    data.x[700], data.y[700] = 1000 * data.x[700], 1 - data.y[700]
    model = nn.Linear(6, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with dnndoctor.watch(model, optimizer, path=tmp_path / "t.dnnrec", overhead=1.0):
        for batch in DataLoader(TensorDataset(data.x, data.y), batch_size=8):
            optimizer.zero_grad()
            torch.autograd.backward(loss_of(model, batch))
            optimizer.step()
    box = black_box.load(boxes(tmp_path)[0])
    assert (box.step, box.exact) == (700 // 8, True)
    assert "jumps to" in box.reason
    assert 700 in (box.indices or ())


def test_training_without_an_incident_writes_none(tmp_path: Path) -> None:
    _, steps = train(tmp_path, Noisy(0.0))
    assert steps == 24
    assert not boxes(tmp_path)


def test_large_weights_are_left_out(tmp_path: Path) -> None:
    train(tmp_path, Noisy(), max_bytes=2000)
    box = black_box.load(boxes(tmp_path)[0])
    assert not box.weights
    assert not box.exact
    with pytest.raises(BadInput, match="weights are left out"):
        box.restore(built()[0])


def test_another_model_is_refused(tmp_path: Path) -> None:
    train(tmp_path, Noisy())
    with pytest.raises(BadInput, match="another model"):
        black_box.load(boxes(tmp_path)[0]).restore(nn.Linear(6, 3))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04nothing", b"\x80\x02carbage."])
def test_what_is_no_box_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.box"
    path.write_bytes(content)
    with pytest.raises(BadInput, match="not a black box") as why:
        black_box.load(path)
    assert "\n" not in str(why.value)
    torch.save({"weights": torch.zeros(1)}, path)
    with pytest.raises(BadInput, match="not a black box"):
        black_box.load(path)
    with pytest.raises(BadInput, match="no such file"):
        black_box.load(tmp_path / "none.box")


def test_a_disk_that_is_full_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    was, _ = train(tmp_path, Noisy())
    assert was
    assert not list(tmp_path.glob("*.box*"))
    assert "No space left" in capsys.readouterr().err


def test_spikes_stand_out_of_noise_and_of_no_fall() -> None:
    noise = np.random.default_rng(0)
    falling = [float(2 + 3 * np.exp(-n / 100) + 0.2 * noise.standard_normal()) for n in range(2000)]
    spikes = Spikes()
    assert not any(spikes.take(each) for each in falling)
    assert spikes.take(9.0)
    assert not spikes.take(2.0)
    assert not any(Spikes().take(each) for each in [1.0] * (FEWEST - 1) + [100.0])


@pytest.mark.parametrize("level", [0, 3])
def test_a_bug_of_ours_stays_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, level: int) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("ours")

    monkeypatch.setattr(Fetches, "give", broken)
    monkeypatch.setattr(Affordable, "_chosen", lambda *_: level)
    model, optimizer = built()
    with dnndoctor.watch(model, optimizer, path=tmp_path / "t.dnnrec") as watching:
        for batch in DataLoader(Noisy(0.0), batch_size=8):
            optimizer.zero_grad()
            torch.autograd.backward(loss_of(model, batch))
            optimizer.step()
    assert "ours" in (watching.recorder.failure or "")
