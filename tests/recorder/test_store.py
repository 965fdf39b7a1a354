"""A recording that grows: bounded, and whole after any end."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from dnndoctor.recorder import store as module
from dnndoctor.recorder.history import History
from dnndoctor.recorder.store import Store
from dnndoctor.recording.reader import Rows, read
from dnndoctor.recording.writer import Writer

KILLS = 200


def _filled(path: Path, steps: int, limit: int = 200_000_000, spike: int = -1) -> tuple[Store, int, int]:
    store = Store(path, limit_bytes=limit)
    loss, norm = store.series("loss", "loss"), store.series("gradient norm", "gradient norm")
    noise = random.Random(1)
    for step in range(steps):
        value = 50.0 if step == spike else 2.0 + noise.random() / 10
        store.add(step, step / 100, [loss, norm], [value, float("nan") if step == spike + 1 else 1.0])
    return store, loss, norm


def test_what_was_added_comes_back_exactly(tmp_path: Path) -> None:
    store = Store(tmp_path / "a.dnnrec")
    one, other = store.series("loss", "loss"), store.series("x", "gradient", parameter="w", statistic="rms")
    values = [0.1, 1 / 3, float("nan"), float("inf"), -float("inf"), 1e-300]
    for step, value in enumerate(values):
        store.add(step, step * 0.5, [one, other], [value, -value])
    store.event(3, "non-finite", phase="loss")
    store.close()
    rows = read(tmp_path / "a.dnnrec")
    np.testing.assert_array_equal(rows.points[one].value, values)
    np.testing.assert_array_equal(rows.points[other].value, np.negative(values))
    assert rows.points[one].time.tolist() == [0, 0.5, 1, 1.5, 2, 2.5]
    assert rows["series"][1]["facts"] == {"file": "", "parameter": "w", "statistic": "rms"}
    assert [each["step"] for each in rows["event"]] == [3]
    assert not (tmp_path / "a.dnnrec-wal").exists()


def test_any_reader_of_sqlite_sees_the_points_one_by_one(tmp_path: Path) -> None:
    store, loss, _ = _filled(tmp_path / "a.dnnrec", 10, spike=4)
    store.flush()
    query = "SELECT step, value, time FROM point WHERE series = ? AND value > 10"
    for _ in range(2):
        with sqlite3.connect(tmp_path / "a.dnnrec") as database:
            assert database.execute(query, (loss,)).fetchall() == [(4.0, 50.0, 0.04)]
            assert database.execute("SELECT count(*), count(value) FROM point").fetchone() == (20, 19)
        _disk(store)[1].sort()
        _disk(store)[0].commit()
    store.close()


def test_a_long_run_stays_below_its_limit_and_keeps_what_stood_out(tmp_path: Path) -> None:
    limit, steps, spike = 3_000_000, 120_000, 20_000
    store, loss, norm = _filled(tmp_path / "a.dnnrec", steps, limit, spike)
    store.close()
    assert (tmp_path / "a.dnnrec").stat().st_size <= limit
    points = read(tmp_path / "a.dnnrec").points
    step = points[loss].step
    assert step[0] == 0
    assert step[-1] == steps - 1
    assert (np.diff(step) > 0).all()
    assert len(step) < steps / 2
    newest = step[step > 0.95 * steps]
    assert (np.diff(newest) == 1).all(), "the newest steps are kept in full"
    assert np.diff(step).max() < 0.01 * steps, "no part of the run is lost"
    assert points[loss].value.max() == 50.0
    assert points[norm].step[np.isnan(points[norm].value)].tolist() == [spike + 1]
    with sqlite3.connect(tmp_path / "a.dnnrec") as database:
        seen, broken, high = database.execute(
            "SELECT sum(seen), sum(non_finite), max(high) FROM stretch WHERE series IN (?, ?)", (loss, norm)
        ).fetchone()
    assert (seen, broken, high) == (2 * steps, 1, 50.0), "what was thinned is still counted"


def test_memory_stays_bounded_where_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "MOST_UNWRITTEN", 4_000)
    monkeypatch.setattr(module, "AGAIN_SECONDS", 0.0)
    store = Store(tmp_path / "a.dnnrec", flush_seconds=60)
    loss = store.series("loss", "loss")
    store.flush()
    real = _disk(store)[0].commit
    monkeypatch.setattr(_disk(store)[0], "commit", lambda: _raise(sqlite3.OperationalError("database or disk is full")))
    for step in range(20_000):
        store.add(step, 0.0, [loss], [9.0 if step == 7 else 1.0])
        if step % 1_000 == 0:
            store.flush()
    store.event(5, "after")
    store.flush()
    assert sum(map(len, store._due_points)) <= 4_000
    monkeypatch.setattr(_disk(store)[0], "commit", real)
    store.close()
    rows = read(tmp_path / "a.dnnrec")
    assert rows.points[loss].value.max() == 9.0
    assert rows.points[loss].step[[0, -1]].tolist() == [0, 19_999]
    assert len(np.unique(rows.points[loss].step)) == len(rows.points[loss].step), "nothing is written twice"
    assert len(rows["event"]) == 1
    told = capsys.readouterr().err
    assert told.count("cannot be written") == 1
    assert "the training goes on" in told


def _disk(store: Store) -> tuple[Writer, History]:
    assert store._disk is not None
    return store._disk


def _raise(error: Exception) -> None:
    raise error


FULL_DISK = """
import resource, signal, sys, time
from pathlib import Path
from dnndoctor.recorder.store import Store
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = Store(Path(sys.argv[1]), flush_seconds=0.05)
loss = store.series("loss", "loss")
store.add(0, 0.0, [loss], [1.0])
store.flush()
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
for step in range(1, 50_000):
    store.add(step, 0.0, [loss], [1.0])
store.flush()
print("trained")
if sys.argv[2] == "again":
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
store.close()
"""


@pytest.mark.parametrize(("ends", "least"), [("again", 50_000), ("full", 1)])
def test_a_full_disk_is_told_once_and_stops_nothing(tmp_path: Path, ends: str, least: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path / "a.dnnrec"), ends], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "trained\n"), done.stderr
    assert done.stderr.count("\n") == 1
    assert len(read(tmp_path / "a.dnnrec").points[0].step) >= least


def test_a_forked_process_leaves_the_recording_alone(tmp_path: Path) -> None:
    store, loss, _ = _filled(tmp_path / "a.dnnrec", 10)
    store.flush()
    child = os.fork()
    if not child:
        store.add(99, 0.0, [loss], [1.0])
        store.flush()
        store.close()
        del store
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    store.add(10, 0.0, [loss], [1.0])
    store.close()
    assert read(tmp_path / "a.dnnrec").points[loss].step.tolist() == list(range(11))


WRITER = """
import sys, time
from pathlib import Path
from dnndoctor.recorder.store import Store
store = Store(Path(sys.argv[1]), flush_seconds=float(sys.argv[2]), limit_bytes=int(sys.argv[3]))
ids = [store.series(f"s{n}", "other") for n in range(20)]
store.flush()
print("began", flush=True)
step = 0
while True:
    step += 1
    store.add(step, time.time(), ids, [time.time()] * len(ids))
    if step % 10 == 0:
        time.sleep(0.005)
"""


def _killed(path: Path, after: float, flush: float, limit: int) -> tuple[Rows, float]:
    """The rows of a writer that was killed, and the moment of its death."""
    command = [sys.executable, "-c", WRITER, str(path), str(flush), str(limit)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"began\n"
        time.sleep(after)
        moment = time.time()
        process.send_signal(signal.SIGKILL)
    return read(path), moment


def test_after_a_kill_all_but_the_last_moments_is_there(tmp_path: Path) -> None:
    chance = random.Random(7)
    for number in range(6):
        limit = 200_000_000 if number % 2 else 600_000  # a small one is thinned all the time
        rows, moment = _killed(tmp_path / f"{number}.dnnrec", chance.uniform(0.0, 1.0), 0.1, limit)
        assert len(rows["series"]) == 20
        last = max((float(each.value[-1]) for each in rows.points.values()), default=moment)
        assert moment - last < 5


if __name__ == "__main__":  # python -m tests.recorder.test_store: as many kills as were promised, at the default pace
    import tempfile

    missing = []
    for number in range(KILLS):
        with tempfile.TemporaryDirectory() as folder:
            rows, moment = _killed(
                Path(folder, "a.dnnrec"), random.uniform(0, 6), 1.0, (200_000_000, 600_000)[number % 2]
            )
            missing.append(moment - max((float(each.value[-1]) for each in rows.points.values()), default=moment))
    print(f"{KILLS} kills, {len(missing)} readable, at most {max(missing):.2f} s missing")
