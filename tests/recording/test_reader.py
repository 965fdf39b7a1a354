"""What is no recording is refused in one line."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from dnndoctor.findings import Location
from dnndoctor.measurements import Losses, Missing, Run
from dnndoctor.recording import load, schema
from dnndoctor.recording.reader import read
from dnndoctor.recording.writer import Writer


def test_rows_come_back_as_they_were_put(tmp_path: Path) -> None:
    path = tmp_path / "a.dnnrec"
    writer = Writer(str(path))
    place = Location("train.py", 3, 5)
    writer.put("probe", {"name": "x", "facts": {"rate": 0.1, "edge": float("inf")}})
    writer.put("loader", {"id": 0, "facts": {"workers": 2}, "location": place})
    writer.put("step", {"step": 0, "loss": float("nan"), "learning_rate": 0.1})
    writer.close()
    rows = read(path)
    assert rows.facts("probe", "name", "x") == {"rate": 0.1, "edge": float("inf")}
    assert rows["loader"][0]["location"] == place
    assert rows["step"][0]["loss"] is None


def test_what_was_committed_survives_a_writer_that_is_never_closed(tmp_path: Path) -> None:
    path = tmp_path / "a.dnnrec"
    writer = Writer(str(path))
    writer.put("step", {"step": 0, "loss": 1.0})
    writer.commit()
    writer.put("step", {"step": 1, "loss": 2.0})
    assert [row["step"] for row in read(path)["step"]] == [0]


def test_an_empty_recording_measures_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.dnnrec"
    Writer(str(path)).close()
    found = load(path)
    assert found[Run] == Missing("no optimizer step was seen")
    assert isinstance(found[Losses], Missing)


@pytest.mark.parametrize("content", [b"", b"not a database at all, but text", b"SQLite format 3\x00 torn"])
def test_a_foreign_file_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.dnnrec"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"not a recording of dnndoctor") as caught:
        load(path)
    assert "\n" not in str(caught.value)


def test_another_program_s_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.dnnrec"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE step (step INTEGER)")
    with pytest.raises(ValueError, match="a database, but not a recording"):
        load(path)


def test_a_newer_recording_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.dnnrec"
    Writer(str(path)).close()
    with sqlite3.connect(path) as database:
        database.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    with pytest.raises(ValueError, match="newer dnndoctor"):
        load(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.dnnrec: there is no such recording"):
        load(tmp_path / "none.dnnrec")
