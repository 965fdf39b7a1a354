"""Recordings of whole runs, where a post-mortem is asked for: judged as what they are, checkpoints beside them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dnndoctor.config import Settings
from dnndoctor.diagnosis import Diagnosis
from dnndoctor.examination import examine_logs
from dnndoctor.recorder.store import Store
from tests.runs import falling


def a_flight(path: Path, *, began: float, last: float | None = None) -> Path:
    """Two hundred sound steps; with ``last``, ten more of that loss."""
    store = Store(path)
    store.run(kind="flight", unit="step", script="train.py", began=began, world=1)
    loss, rate = store.series("loss", "loss"), store.series("learning rate", "learning rate")
    values = [*falling(200).tolist(), *([last] * 10 if last is not None else [])]
    for step, value in enumerate(values):
        store.add(step, 0.1 * step, [loss, rate], [value, 0.1])
    store.run(steps=len(values), outcome="examined", wall_seconds=20.0)
    store.close()
    return path


def judged(*paths: Path, root: Path) -> Diagnosis:
    return examine_logs(paths, Settings(root=str(root)))


def test_a_flight_is_judged_itself_and_not_copied(tmp_path: Path) -> None:
    flight = a_flight(tmp_path / "train.dnnrec", began=1.0, last=float("nan"))
    found = judged(flight, root=tmp_path)
    assert [each.rule for each in found.findings] == ["NUM101"]
    assert found.run.recording == "train.dnnrec"
    assert [each.name for each in tmp_path.iterdir()] == ["train.dnnrec"]


def test_the_newest_of_several_flights_is_told_of(tmp_path: Path) -> None:
    a_flight(tmp_path / "old.dnnrec", began=1.0, last=float("nan"))
    a_flight(tmp_path / "new.dnnrec", began=2.0)
    found = judged(tmp_path, root=tmp_path)
    assert (found.findings, found.run.recording) == ((), "new.dnnrec")
    assert any("2 recorded runs were found" in each for each in found.run.notes)


def test_checkpoints_beside_a_flight_say_where_to_go_on(tmp_path: Path) -> None:
    a_flight(tmp_path / "train.dnnrec", began=1.0, last=float("nan"))
    for step in (99, 199):
        torch.save({"model": {"weight": torch.randn(4, 4)}, "step": step}, tmp_path / f"step-{step}.pt")
    found = judged(tmp_path, root=tmp_path)
    assert found.run.course is not None
    assert [each.step for each in found.run.course.checkpoints] == [99, 199]
    [finding] = [each for each in found.findings if each.rule == "NUM101"]
    assert finding.fix is not None
    assert "step-199.pt" in finding.fix.summary


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0 and no more", b"text"])
def test_what_only_looks_like_a_flight_is_no_reason_to_fail(tmp_path: Path, content: bytes) -> None:
    a_flight(tmp_path / "good.dnnrec", began=1.0)
    (tmp_path / "broken.dnnrec").write_bytes(content)
    assert judged(tmp_path, root=tmp_path).run.recording == "good.dnnrec"


def test_what_is_named_beside_a_flight_is_not_passed_over_in_silence(tmp_path: Path) -> None:
    flight = a_flight(tmp_path / "train.dnnrec", began=1.0)
    table = tmp_path / "metrics.csv"
    table.write_text("step,loss\n1,2\n2,1\n")
    notes = judged(flight, table, root=tmp_path).run.notes
    assert any("not read" in each and "metrics.csv" in each for each in notes)
    with pytest.raises(ValueError, match=r"missing\.csv: no such file or folder"):
        judged(flight, tmp_path / "missing.csv", root=tmp_path)
