from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from dnndoctor.config import Settings
from dnndoctor.diagnosis import Diagnosis
from dnndoctor.examination import examine_logs
from dnndoctor.postmortem.log import Unreadable
from dnndoctor.postmortem.search import search
from tests.runs import falling


def spiked(folder: Path, name: str = "metrics.csv") -> Path:
    loss = falling(200)
    loss[121:] += 3.0
    rows = [f"{n},{value},{0.1 if n >= 120 else 0.001}" for n, value in enumerate(loss)]
    file = folder / name
    file.write_text("step,train_loss,lr\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return file


def judged(folder: Path, *paths: Path) -> Diagnosis:
    return examine_logs(paths, Settings(root=str(folder)))


def test_a_run_that_failed_from_its_table_to_the_diagnosis(tmp_path: Path) -> None:
    (tmp_path / "ckpt").mkdir()
    for step in (50, 100, 150):
        (tmp_path / "ckpt" / f"step_{step}.pt").write_bytes(b"")
    spiked(tmp_path)
    found = judged(tmp_path, tmp_path)
    assert [each.rule for each in found.roots] == ["LRN111"]
    assert found.roots[0].fix is not None
    assert found.roots[0].fix.summary == f"go on from {tmp_path}/ckpt/step_100.pt (step 100) at a rate of 0.001"
    assert found.run.course is not None
    assert found.run.course.turns[0].step == 121


def test_what_logs_do_not_tell_is_not_passed(tmp_path: Path) -> None:
    states = {each.rule.code: each.state.value for each in judged(tmp_path, spiked(tmp_path)).results}
    judged_by = {code for code, state in states.items() if state in ("pass", "finding")}
    assert judged_by <= {"LRN111", "LRN112", "LOS115", "REG110", "NUM101", "GRD102", "VIS103", "EPO103", "EPO104"}
    assert "crashed" not in states.values()


def test_of_several_runs_the_newest_is_read_and_that_is_said(tmp_path: Path) -> None:
    for version in (0, 1):
        folder = tmp_path / f"version_{version}"
        folder.mkdir()
        os.utime(spiked(folder), (1_000_000 + version, 1_000_000 + version))
    notes = judged(tmp_path, tmp_path).run.notes
    assert any("2 logs of the kind CSV were found; the newest" in each and "version_1" in each for each in notes)


def test_a_trainer_state(tmp_path: Path) -> None:
    history = [{"loss": 2 / (n + 1), "learning_rate": 1e-4, "step": n * 10, "epoch": n / 10} for n in range(30)]
    history += [{"eval_loss": 1.0, "step": 300, "epoch": 3.0}]
    folder = tmp_path / "checkpoint-300"
    folder.mkdir()
    (folder / "trainer_state.json").write_text(json.dumps({"log_history": history, "max_steps": 300}))
    [(reader, log)] = search([tmp_path]).logs
    assert reader.name == "Trainer state"
    assert {each.name for each in log.series} == {"loss", "learning_rate", "eval_loss"}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b"\xff\xfe\x00garbage\nmore"),
        ("a.csv", b"1,2,3\n4,5,6\n"),
        ("a.jsonl", b'{"loss": 1.0\n[1, 2'),
        ("trainer_state.json", b'{"log_history": [{"loss":'),
        ("trainer_state.json", b"[" * 100_000),
        ("events.out.tfevents.1.x", b"\x00" * 200),
        ("events.out.tfevents.1.x", os.urandom(500)),
        ("run-x.wandb", b":W&B" + os.urandom(2000)),
        ("run-x.wandb", b"nothing"),
        ("train.log", os.urandom(3000)),
        ("train.log", b""),
        ("whatever", b"\x00\x01"),
    ],
)
def test_damaged_files_are_one_clear_line(tmp_path: Path, name: str, content: bytes) -> None:
    if "tfevents" in name:
        pytest.importorskip("tensorboard")
    if "wandb" in name:
        pytest.importorskip("wandb")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Unreadable) as why:
        search([tmp_path / name])
    assert name in str(why.value)
    assert "\n" not in str(why.value)
    assert os.listdir(tmp_path) == [name]


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="no such file"):
        search([tmp_path / "nowhere"])


def test_a_recording_can_be_read_again(tmp_path: Path) -> None:
    first = judged(tmp_path, spiked(tmp_path))
    assert first.run.recording is not None
    again = judged(tmp_path, tmp_path / first.run.recording)
    assert [each.rule for each in again.findings] == [each.rule for each in first.findings]


def test_a_loss_of_0_beside_a_gradient_that_is_nan(tmp_path: Path) -> None:
    rows = [
        {"loss": 0.0 if n > 60 else 1 / (n + 1), "grad_norm": "nan" if n > 60 else 1.0, "step": n} for n in range(90)
    ]
    (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, rows)))
    [found] = [each for each in judged(tmp_path, tmp_path / "log.jsonl").findings if each.rule == "NUM101"]
    assert found.message.startswith("the logged gradient norm is NaN from step 61 on")
