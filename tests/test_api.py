"""``dnndoctor.check``: objects are examined where they are, and are afterwards as they were, bit for bit."""

from __future__ import annotations

import copy
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules import module as hooks
from torch.utils.data import DataLoader, TensorDataset

import dnndoctor
from dnndoctor.diagnosis import Diagnosis, Outcome
from dnndoctor.workspace import BadInput

OPTIMIZERS: Any = sys.modules["torch.optim.optimizer"]


class Saturated(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(12, 64),
            nn.Tanh(),
            nn.Linear(64, 3),
        )
        nn.init.normal_(next(self.layers.parameters()), std=30.0)

    def forward(self, x: Tensor) -> Any:
        return self.layers(x)


class Net(nn.Module):
    counts: Tensor

    def __init__(self, inputs: int = 12) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, 32)
        self.norm = nn.BatchNorm1d(32)
        self.drop = nn.Dropout(0.2)
        self.head = nn.Linear(32, 3)
        self.register_buffer("counts", torch.zeros(()), persistent=False)
        self.calls = 0
        self.seen: list[int] = []
        self.last = torch.zeros(2)

    def forward(self, x: Tensor) -> Any:
        self.calls += 1
        self.seen.append(len(x))
        self.counts += 1
        self.last.add_(1.0)
        self.cache = x.mean()
        return self.head(self.drop(torch.relu(self.norm(self.first(x)))))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def data(samples: int = 256) -> TensorDataset:
    draw = torch.Generator().manual_seed(3)
    x = torch.randn(samples, 12, generator=draw)
    return TensorDataset(x, (x[:, 0] > 0).long() + (x[:, 1] > 0).long())


def flat(value: Any) -> Iterator[tuple[str, Any]]:
    """Everything that an object holds, tensors as their bytes."""
    if isinstance(value, Tensor):
        yield "", (value.detach().numpy().tobytes(), value.requires_grad, value._version, id(value))
        yield ".grad", None if value.grad is None else (value.grad.numpy().tobytes(), id(value.grad))
    elif isinstance(value, dict):
        for key, each in value.items():
            name = f"tensor {id(key)}" if isinstance(key, Tensor) else key
            yield from ((f".{name}{inner}", found) for inner, found in flat(each))
    elif isinstance(value, (list, tuple)):
        for number, each in enumerate(value):
            yield from ((f"[{number}]{inner}", found) for inner, found in flat(each))
    elif isinstance(value, torch.Generator):
        yield "", value.get_state().numpy().tobytes()
    elif isinstance(value, (nn.Module, torch.optim.Optimizer, DataLoader)):
        yield from flat(vars(value))
    elif hasattr(value, "generator") or isinstance(value, torch.optim.lr_scheduler.LRScheduler):
        yield from ((f".{k}{i}", v) for k, each in vars(value).items() if k != "optimizer" for i, v in flat(each))
    else:
        yield "", value if isinstance(value, (int, float, str, bool, type(None))) else id(value)


def globals_of_torch() -> list[Any]:
    return [
        nn.Module.__init__,
        nn.Module._call_impl,
        nn.Module.load_state_dict,
        Tensor.backward,
        torch.autograd.backward,
        torch.autograd.grad,
        torch.optim.Optimizer.__init__,
        torch.optim.Optimizer.zero_grad,
        torch.optim.lr_scheduler.LRScheduler.__init__,
        torch.amp.GradScaler.__init__,
        DataLoader.__init__,
        DataLoader.__iter__,
        nn.utils.clip_grad_norm_,
        dict(hooks._global_forward_hooks),
        dict(hooks._global_forward_pre_hooks),
        dict(OPTIMIZERS._global_optimizer_pre_hooks),
        dict(OPTIMIZERS._global_optimizer_post_hooks),
        torch._C._len_torch_function_stack(),
        torch.is_grad_enabled(),
    ]


def trained_parts() -> dict[str, Any]:
    """Parts in the midst of a training of their own."""
    torch.manual_seed(1)
    model = Net()
    model.first.bias.requires_grad_(False)
    model.norm.eval()
    model.head.register_forward_hook(lambda *_: None)
    loader = DataLoader(data(), batch_size=32, shuffle=True, generator=torch.Generator().manual_seed(5))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2)
    for x, y in loader:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    scheduler.step()
    return {"model": model, "train_loader": loader, "optimizer": optimizer, "scheduler": scheduler}


def state(parts: dict[str, Any]) -> dict[str, Any]:
    streams = {"torch": torch.get_rng_state().numpy().tobytes(), "python": random.getstate()}
    numpy_stream = np.random.get_state()
    return dict(flat(parts)) | streams | {"numpy": str(numpy_stream)}


def changed(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    return [key for key in before.keys() | after.keys() if before.get(key, "-") != after.get(key, "-")]


@pytest.mark.parametrize("probes", [True, False])
def test_nothing_is_left_changed(probes: bool, folder: Path) -> None:
    parts = trained_parts()
    before, patched = state(parts), globals_of_torch()
    found = dnndoctor.check(**parts, loss_fn=nn.CrossEntropyLoss(), probes=probes, steps=20)
    assert found.target.outcome is Outcome.EXAMINED, found.target.reason
    assert found.run.steps_observed >= 20
    assert not changed(before, state(parts))
    assert patched == globals_of_torch()
    assert not list(folder.iterdir())


class Raising(Net):
    def forward(self, x: Tensor) -> Any:
        output = super().forward(x)
        if self.calls > 14:
            raise ValueError("no more")
        return output


def test_nothing_is_left_changed_where_the_model_raises(folder: Path) -> None:
    parts = trained_parts()
    parts["model"].__class__ = Raising
    before, patched = state(parts), globals_of_torch()
    found = dnndoctor.check(**parts, loss_fn=nn.CrossEntropyLoss())
    assert found.target.outcome is Outcome.PARTLY
    assert "ValueError: no more at" in (found.target.reason or "")
    assert not changed(before, state(parts))
    assert patched == globals_of_torch()


def test_a_graph_that_waits_for_its_backward_can_still_have_it(folder: Path) -> None:
    parts = trained_parts()
    x, y = data()[:32]
    loss = nn.functional.cross_entropy(parts["model"](x), y)
    dnndoctor.check(**parts, loss_fn=nn.CrossEntropyLoss(), steps=5, probes=False)
    loss.backward()  # type: ignore[no-untyped-call]


def test_the_training_after_a_check_is_the_same_as_without(folder: Path) -> None:
    def losses(checked: bool) -> list[float]:
        parts = trained_parts()
        if checked:
            dnndoctor.check(**parts, steps=10)
        found = []
        for x, y in parts["train_loader"]:
            parts["optimizer"].zero_grad()
            loss = nn.functional.cross_entropy(parts["model"](x), y)
            loss.backward()  # type: ignore[no-untyped-call]
            parts["optimizer"].step()
            found.append(loss.item())
        return found

    assert losses(True) == losses(False)


def test_lazy_and_meta_models_are_refused_in_one_line(folder: Path) -> None:
    with pytest.raises(BadInput, match="lazy layers"):
        dnndoctor.check(nn.Sequential(nn.LazyLinear(3)))
    with pytest.raises(BadInput, match="to_empty"):
        dnndoctor.check(nn.Linear(3, 3, device="meta"))
    with pytest.raises(BadInput, match="no nn"):
        dnndoctor.check(3)
    with pytest.raises(BadInput, match="used up"):
        dnndoctor.check(nn.Linear(3, 3), iter([]))
    with pytest.raises(BadInput, match="input"):
        dnndoctor.check(nn.Linear(3, 3), input="what")


def test_without_data_the_input_is_found_or_given(folder: Path) -> None:
    found = dnndoctor.check(Net(), steps=4, probes=False)
    assert any("input: floats [32, 12]" in note for note in found.run.notes)
    given = dnndoctor.check(
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.LazyLinear(2)).eval()[:2],
        input=(3, 9, 9),
        steps=4,
        probes=False,
    )
    assert any("input: floats [32, 3, 9, 9], as given" in note for note in given.run.notes)
    tensor = dnndoctor.check(nn.Embedding(40, 8), input=torch.zeros(5, 6, dtype=torch.long), steps=4, probes=False)
    assert any("input: integers below 40 [32, 6], as given" in note for note in tensor.run.notes)


def test_a_fault_is_found_at_its_line_and_shown(folder: Path) -> None:
    model = Saturated()
    batches = [(x, y) for x, y in DataLoader(data(), batch_size=32)]
    found = dnndoctor.check(model, batches, loss_fn=nn.functional.cross_entropy, optimizer=torch.optim.Adam)
    assert isinstance(found, Diagnosis)
    worst = next(each for each in found.findings if each.rule == "INI102")
    assert worst.location is not None
    line = Path(__file__).read_text().splitlines()[worst.location.line - 1]
    assert "nn.Linear(12, 64)" in line
    assert not found.sound
    assert "INI102" in repr(found)
    assert "The training loop" in str(found)
    page = found._repr_html_()
    assert page.startswith("<iframe")
    assert page.count("<") == 2, "the page is an attribute, and all of it is escaped"


def test_the_recording_is_kept_where_it_is_asked_for(folder: Path) -> None:
    found = dnndoctor.check(Net(), steps=3, probes=False, recording="kept.dnnrec")
    assert [each.name for each in folder.iterdir()] == ["kept.dnnrec"]
    assert found.run.recording == "kept.dnnrec"
    found.save("page.html")
    assert (folder / "page.html").read_text().startswith("<!DOCTYPE html>") or (folder / "page.html").stat().st_size


def test_two_checks_in_a_row_agree(folder: Path) -> None:
    parts = trained_parts()
    one, two = (dnndoctor.check(**parts, steps=8, probes=False) for _ in range(2))
    assert [f.rule for f in one.findings] == [f.rule for f in two.findings]
    assert copy.copy(one.run.notes) == two.run.notes


def test_importing_the_package_imports_no_torch() -> None:
    absent = "assert 'torch' not in sys.modules"
    code = f"import sys, dnndoctor; {absent}; assert callable(dnndoctor.check); {absent}"
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ}, timeout=60)
