"""A recording that is damaged or cut off gives what it holds, or one clear line."""

from __future__ import annotations

import random
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from dnndoctor.config import Settings
from dnndoctor.examination import rediagnose
from dnndoctor.measurements import Course
from dnndoctor.recorder.store import Store
from dnndoctor.recording import load
from dnndoctor.recording.reader import Rows, read
from dnndoctor.recording.writer import Writer

STEPS = 30_000


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording that was left while it grew, with its log beside it."""
    folder = tmp_path_factory.mktemp("whole")
    store = Store(folder / "growing.dnnrec", flush_seconds=60)
    store.run(kind="flight", unit="step", notes=["as it was"])
    loss = store.series("loss", "loss")
    for part in range(3):
        for step in range(part * STEPS // 3, (part + 1) * STEPS // 3):
            store.add(step, step / 10, [loss], [2.0 - step / STEPS])
        store.flush()
    store.event(5, "kept in the log")
    store._write()  # not moved from the log into the file
    for suffix in ("", "-wal"):
        shutil.copyfile(f"{store.path}{suffix}", folder / f"a.dnnrec{suffix}")
    store.close()
    return folder / "a.dnnrec"


def _copied(whole: Path, folder: Path, file: int | None = None, log: int | None = None) -> Path:
    """A copy, cut off after so many bytes."""
    path = folder / "a.dnnrec"
    path.write_bytes(whole.read_bytes()[:file])
    Path(f"{path}-wal").write_bytes(Path(f"{whole}-wal").read_bytes()[:log])
    return path


def _rows_or_line(path: Path) -> Rows | str:
    try:
        return read(path)
    except ValueError as error:
        line = str(error)
        assert "\n" not in line
        return line


def test_what_was_left_while_it_grew_is_read_whole(whole: Path, tmp_path: Path) -> None:
    path = _copied(whole, tmp_path)
    rows = read(path)
    assert len(rows.points[0].step) == STEPS
    assert len(rows["event"]) == 1
    assert rows.run["notes"] == ["as it was"]


def test_wherever_the_log_is_cut_off_the_file_is_read(whole: Path, tmp_path: Path) -> None:
    size = Path(f"{whole}-wal").stat().st_size
    chance = random.Random(3)
    for cut in [0, 1, 31, 32, 33, size - 1, *(chance.randrange(size) for _ in range(20))]:
        rows = read(_copied(whole, tmp_path, log=cut))
        assert len(rows.points[0].step) == STEPS, cut
        assert len(rows["event"]) <= 1


def test_wherever_the_file_is_cut_off_what_is_left_is_read_or_one_line_says_that_nothing_is(
    whole: Path, tmp_path: Path
) -> None:
    size = whole.stat().st_size
    chance = random.Random(4)
    left = []
    for cut in [0, 1, 50, 100, 4096, size // 2, size - 1, *(chance.randrange(size) for _ in range(40))]:
        path = _copied(whole, tmp_path, file=cut)
        before = path.read_bytes()
        rows = _rows_or_line(path)
        assert path.read_bytes() == before
        if isinstance(rows, str):
            assert cut < 0.3 * size, rows
            continue
        if rows.points:
            points = rows.points[0]
            np.testing.assert_allclose(points.value, 2.0 - points.step / STEPS)
            left.append((cut, len(points.step)))
        if cut < size - 8192:
            assert "cut off" in rows.run["notes"][0]
            assert rows.run["notes"][-1] == "as it was"
    assert max(count for cut, count in left if cut < 0.9 * size) > STEPS / 2


def test_damage_in_the_middle_costs_only_what_was_there(whole: Path, tmp_path: Path) -> None:
    chance = random.Random(5)
    content = whole.read_bytes()
    some = 0
    for _ in range(40):
        at = chance.randrange(100, len(content) - 4096)
        path = _copied(whole, tmp_path)
        path.write_bytes(content[:at] + chance.randbytes(chance.choice([1, 100, 4096])) + content[at + 4096 :])
        rows = _rows_or_line(path)
        if not isinstance(rows, str) and 0 in rows.points:
            some += len(rows.points[0].step)
    assert some > 20 * STEPS


def test_a_damaged_recording_is_judged_and_says_so(whole: Path, tmp_path: Path) -> None:
    path = _copied(whole, tmp_path, file=int(0.7 * whole.stat().st_size))
    course = load(path)[Course]
    assert isinstance(course, Course)
    assert any("cut off" in note for note in rediagnose(path, Settings()).run.notes)


def test_a_folder_that_cannot_be_written_hides_nothing(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _copied(whole, tmp_path)
    real = sqlite3.connect

    def refuse(name: str, *args: object, **kwargs: object) -> sqlite3.Connection:
        if str(path.parent) in str(name):
            raise sqlite3.OperationalError("unable to open database file")
        return real(name, *args, **kwargs)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(sqlite3, "connect", refuse)
    rows = read(path)
    assert len(rows["event"]) == 1
    assert rows.run["notes"] == ["as it was"], "nothing is damaged"


def test_a_path_may_hold_what_means_something_in_an_address(tmp_path: Path) -> None:
    path = tmp_path / "50% of it?#a.dnnrec"
    writer = Writer(str(path))
    writer.run(kind="flight")
    writer.close()
    assert read(path).run == {"kind": "flight"}


def test_a_recording_of_the_first_schema_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.dnnrec"
    with sqlite3.connect(path) as database:
        database.executescript(
            """PRAGMA application_id = 0x444E4E52; PRAGMA user_version = 1;
            CREATE TABLE run (key TEXT PRIMARY KEY, value TEXT);
            CREATE TABLE series (id INTEGER PRIMARY KEY, name TEXT, role TEXT, facts TEXT);
            CREATE TABLE point (series INTEGER, step REAL, value REAL, time REAL, line INTEGER);
            INSERT INTO series VALUES (3, 'loss', 'loss', '{"file": ""}');
            INSERT INTO point VALUES (3, 0, 1.5, NULL, 7), (3, 1, NULL, NULL, 8);"""
        )
    points = read(path).points[3]
    np.testing.assert_array_equal(points.value, [1.5, np.nan])
    assert points.line.tolist() == [7, 8]
