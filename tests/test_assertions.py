"""Assertions about training: they say what is wrong and where, and pass nothing that was not examined."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import dnndoctor
from dnndoctor.diagnosis import Outcome
from dnndoctor.workspace import BadInput

ROWS = torch.randn(96, 6, generator=torch.Generator().manual_seed(0))
BATCHES = [(each, (each.sum(1) > 0).long()) for each in torch.split(ROWS, 16)]
QUICK: dict[str, Any] = {"loss_fn": nn.CrossEntropyLoss(), "steps": 12, "probes": False}
TRAIN = """
import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
for _ in range(14):
    x = torch.randn(16, 4)
    loss = ((model(x) - x.sum(1, keepdim=True)) ** 2).mean()
    loss.backward()
    optimizer.step()
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def a_model(std: float | None = None) -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 2))
    if std is not None:
        for each in model.parameters():
            nn.init.normal_(each, std=std)
    return model


def test_a_sound_model_passes_and_gives_its_diagnosis(folder: Path) -> None:
    model = a_model()
    made = dnndoctor.assert_healthy(model, BATCHES, html=folder / "report.html", **QUICK)
    assert made.target.outcome is Outcome.EXAMINED
    assert list(folder.iterdir()) == [], "nothing failed, so nothing is written"


def test_what_is_wrong_is_said_and_shown(folder: Path) -> None:
    with pytest.raises(AssertionError) as raised:
        dnndoctor.assert_healthy(a_model(std=20.0), BATCHES, html=folder / "report.html", **QUICK)
    said = str(raised.value)
    assert "INI102 [error] mis-scaled-weights" in said
    assert "= fix:" in said
    assert said.endswith(f"report: {folder / 'report.html'}")
    assert "INI102" in (folder / "report.html").read_text()


def test_only_what_was_selected_fails() -> None:
    sick = a_model(std=20.0)
    dnndoctor.assert_healthy(sick, BATCHES, select="LOP, SHU", **QUICK)
    dnndoctor.assert_healthy(sick, BATCHES, fail_on="never", **QUICK)
    with pytest.raises(AssertionError, match="INI102"):
        dnndoctor.assert_healthy(sick, BATCHES, select=["INI102"], **QUICK)


def test_a_selection_that_could_not_be_judged_has_not_passed() -> None:
    with pytest.raises(AssertionError, match=r"^LRN101 was not examined: "):
        dnndoctor.assert_healthy(a_model(), BATCHES, select="LRN101", **QUICK)


def test_a_model_that_raises_is_not_healthy() -> None:
    with pytest.raises(AssertionError, match=r"not examined: .*RuntimeError"):
        dnndoctor.assert_healthy(nn.Linear(5, 2), BATCHES, **QUICK)


def test_a_mistake_in_the_call_is_one_line(folder: Path) -> None:
    with pytest.raises(BadInput, match=r'^select: no rule is meant by "INI1022"; nearest: INI102$'):
        dnndoctor.assert_healthy(a_model(), BATCHES, select="INI1022", **QUICK)
    with pytest.raises(BadInput, match='fail_on is "grave": one of error, warning, info, never'):
        dnndoctor.assert_healthy(a_model(), BATCHES, fail_on="grave", **QUICK)
    with pytest.raises(BadInput, match="there is no folder"):
        dnndoctor.assert_healthy(a_model(), BATCHES, html=folder / "none" / "x.html", **QUICK)
    with pytest.raises(BadInput, match="no such file"):
        dnndoctor.assert_script_healthy("train.py")
    (folder / "train.py").write_text(TRAIN)
    with pytest.raises(BadInput, match="there is no setting stepz"):
        dnndoctor.assert_script_healthy("train.py", stepz=3)


def test_a_script_is_examined_as_on_the_command_line(folder: Path) -> None:
    (folder / "train.py").write_text(TRAIN)
    with pytest.raises(AssertionError, match=r"train\.py:\d+:\d+ LOP101 \[error\]"):
        dnndoctor.assert_script_healthy("train.py", probes=False, steps=12)
    fixed = TRAIN.replace("    loss.backward()", "    optimizer.zero_grad()\n    loss.backward()")
    (folder / "train.py").write_text(fixed)
    made = dnndoctor.assert_script_healthy("train.py", probes=False, steps=12)
    assert made.target.outcome is Outcome.EXAMINED
