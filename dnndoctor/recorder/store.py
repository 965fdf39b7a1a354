"""Where the recorder puts what it measures: bounded in memory and on disk, and whole after any end."""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from dnndoctor.recorder.history import History
from dnndoctor.recorder.thinning import thinned
from dnndoctor.recording.points import LAST, Floats
from dnndoctor.recording.writer import Writer

MAIN = ("loss", "validation loss", "learning rate", "gradient norm")
MAIN_WEIGHT = 8.0  # a series of these may take so many times the room of another one
TIME_DIGITS = 4  # of seconds
HASTE = 20_000  # additions that wait, at which the writer begins at once
PATIENCE = 200_000  # at which the program itself waits for the writer, briefly
MOST_WAITING = 1_000_000  # at which the oldest are lost
WAIT_SECONDS, WAIT_AGAIN_SECONDS = 1.0, 30.0
MOST_UNWRITTEN = 2_000_000  # points in memory while nothing can be written; then they are thinned
MOST_ROWS = 100_000  # likewise, of other tables
AGAIN_SECONDS = 15.0  # after a failure, until writing is tried again
CHECKPOINT_SECONDS = 10.0  # between moves from the log into the file
LOG_SHARE = 0.05  # of the limit, at which the log is moved at the latest
PAGE_BYTES = 4096

Addition = tuple[int, float, Sequence[int], Sequence[float]]


class Store:
    """One recording that grows while a program trains. Knows no torch; ``add`` is the only call on the hot path.

    A thread of its own writes every ``flush_seconds``, so that a kill or a power cut takes away what came after that.
    ``limit_bytes`` bounds the file with its log. Where nothing can be written, it says so once on standard error and
    tries again now and then. ``seconds``: of processor time that writing has taken.

    The file is made by ``open``, and what was given before that is written then.
    """

    def __init__(self, path: Path | None = None, *, limit_bytes: int = 200_000_000, flush_seconds: float = 1.0) -> None:
        self.path = path or Path()
        self.limit_bytes, self.flush_seconds = limit_bytes, flush_seconds
        self.seconds = 0.0
        self.lost = 0  # additions and rows that found no room in memory while nothing could be written
        self.at_intervals: Callable[[], None] = lambda: None  # called by the thread that writes, after each attempt
        self._disk: tuple[Writer, History] | None = None
        self._weights: dict[int, float] = {}
        self._count = 0
        self._rows: deque[Callable[[Writer], None]] = deque()
        self._points: deque[Addition] = deque()
        self._due_rows: list[Callable[[Writer], None]] = []
        self._due_points: list[Floats] = []
        self._failures = 0
        self._try_at = self._moved_at = self._waited_at = 0.0
        self._closed = False
        self._lock, self._wake = threading.Lock(), threading.Event()
        if path is not None:
            self.open(path)

    def open(self, path: Path) -> None:
        """Make the recording, and the thread that writes it.

        Raises sqlite3.Error where none can be made there.
        """
        self.path = path
        writer = Writer(str(path), durable=True)
        self._disk = writer, History(writer, self.limit_bytes, self._weights)
        writer.checkpoint(max(int(LOG_SHARE * self.limit_bytes / PAGE_BYTES), 16))
        _leave_in_forks(self)
        threading.Thread(target=self._follow, name="dnndoctor-recorder", daemon=True).start()

    def series(self, name: str, role: str, **facts: Any) -> int:
        """Declare a quantity that is measured again and again; gives its number.

        ``role``: as of ``measurements.Curve``, or "gradient", "update", "activation" with ``parameter`` or ``module``
        and ``statistic`` in the facts.
        """
        number, self._count = self._count, self._count + 1
        if role in MAIN:
            self._weights[number] = MAIN_WEIGHT
        self.put("series", [{"id": number, "name": name, "role": role, "facts": {"file": "", **facts}}])
        return number

    def add(self, step: int, time: float, series: Sequence[int], values: Sequence[float]) -> None:
        """One value for each of these series; neither sequence may be changed afterwards."""
        if len(series) != len(values):
            raise ValueError(f"{len(series)} series, but {len(values)} values")
        if self._closed:
            return
        self._points.append((step, time, series, values))
        if len(self._points) >= HASTE:
            self._hurry()

    def put(self, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Rows of any other table; rarely."""
        held = [dict(row) for row in rows]
        self._later(lambda writer: writer.put_all(table, held))

    def run(self, **facts: Any) -> None:
        """Facts of the run as a whole."""
        self._later(lambda writer: writer.run(**facts))

    def event(self, step: int, kind: str, **facts: Any) -> None:
        """Something that happened once."""
        self.put("event", [{"step": step, "kind": kind, "facts": facts, "location": None}])

    def flush(self) -> bool:
        """Make everything so far last, now; gives whether that worked."""
        with self._lock:
            return self._write(last=True)

    def soon(self) -> None:
        """Let the thread write now, and not at its next interval."""
        self._wake.set()

    def close(self) -> None:
        """Flush and fold everything into the one file, if there is one."""
        with self._lock:
            if self._disk is not None and not self._closed:
                whole = self._write(last=True)
                writer, history = self._disk
                try:
                    if whole:
                        history.sort()
                    writer.close()
                except (sqlite3.Error, OSError):
                    writer.abandon()  # somebody reads it, or the disk is full: what was committed stays readable
            self._closed = True
        self._wake.set()

    def _later(self, call: Callable[[Writer], None]) -> None:
        if self._closed:
            return
        self._rows.append(call)
        if len(self._rows) > MOST_ROWS:
            self._rows.popleft()
            self.lost += 1

    def _hurry(self) -> None:
        """More comes than was written."""
        self._wake.set()
        waiting = len(self._points)
        if waiting >= PATIENCE and time.monotonic() - self._waited_at > WAIT_AGAIN_SECONDS:
            if self._lock.acquire(timeout=WAIT_SECONDS):
                try:
                    self._write()
                finally:
                    self._lock.release()
            else:
                self._waited_at = time.monotonic()
        if waiting > MOST_WAITING:
            self._points.popleft()
            self.lost += 1

    def _follow(self) -> None:
        """The thread that writes."""
        while not self._closed:
            self._wake.wait(self.flush_seconds)
            self._wake.clear()
            with self._lock:
                self._write()
            self.at_intervals()

    def _write(self, last: bool = False) -> bool:
        """Write what has come since; ``last``: also where that has failed a moment ago. Gives whether all is safe."""
        if self._disk is None or self._closed:
            return False
        began = time.thread_time()
        self._take()
        if last or time.monotonic() >= self._try_at:
            try:
                self._write_all(*self._disk, last)
            except (sqlite3.Error, OSError) as why:
                self._failed(*self._disk, why)
        self._bound()
        self.seconds += time.thread_time() - began
        return not (self._due_rows or self._due_points)

    def _take(self) -> None:
        """What waits becomes what is due. First the rows: a series is declared before it has points."""
        adds = [self._points.popleft() for _ in range(len(self._points))]
        self._due_rows += [self._rows.popleft() for _ in range(len(self._rows))]
        if not adds:
            return
        counts = [len(each[2]) for each in adds]
        total = sum(counts)
        points = np.empty((total, 4))
        points[:, 0] = np.repeat(np.asarray([each[0] for each in adds], np.float64), counts)
        points[:, 1] = np.fromiter(chain.from_iterable(each[3] for each in adds), np.float64, total)
        points[:, 2] = np.repeat(np.asarray([each[1] for each in adds]).round(TIME_DIGITS), counts)
        points[:, LAST] = np.fromiter(chain.from_iterable(each[2] for each in adds), np.float64, total)
        self._due_points.append(points)

    def _write_all(self, writer: Writer, history: History, last: bool) -> None:
        while self._due_rows or self._due_points:
            for call in self._due_rows:
                call(writer)
            rest = self._due_points[:1]
            if rest:
                points, *rest = np.split(rest[0], [history.portion])
                history.add(points)
            writer.commit()
            self._due_rows = []
            self._due_points[:1] = [each for each in rest if len(each)]
            while history.thin():
                writer.commit()
            writer.commit()
        if last or time.monotonic() - self._moved_at > CHECKPOINT_SECONDS:
            writer.checkpoint()
            self._moved_at = time.monotonic()

    def _failed(self, writer: Writer, history: History, why: Exception) -> None:
        """The training goes on, whatever becomes of the recording."""
        self._failures += 1
        self._try_at = time.monotonic() + AGAIN_SECONDS
        if self._failures == 1:
            print(
                f"dnndoctor: {self.path} cannot be written now ({why}); the training goes on, "
                "and what is measured is kept in memory until it can",
                file=sys.stderr,
            )
        try:
            writer.roll_back()
            history.recall()
        except (sqlite3.Error, OSError, ValueError):
            return  # it is tried again as a whole

    def _bound(self) -> None:
        """What cannot be written takes no more and more memory."""
        if self._due_rows[MOST_ROWS:]:
            self.lost += len(self._due_rows) - MOST_ROWS
            self._due_rows = self._due_rows[-MOST_ROWS:]
        if sum(map(len, self._due_points)) > MOST_UNWRITTEN:
            table = np.concatenate(self._due_points)
            parts = [thinned(table[table[:, LAST] == each]) for each in np.unique(table[:, LAST])]
            self._due_points = [np.concatenate(parts)]

    def leave(self) -> None:
        """A forked process has no recording."""
        self._closed = True
        self._lock, self._points, self._rows = threading.Lock(), deque(), deque()
        if self._disk is not None:
            self._disk[0].leave()


def _leave_in_forks(store: Store) -> None:
    held = weakref.ref(store)

    def leave() -> None:
        there = held()
        if there is not None:
            there.leave()

    os.register_at_fork(after_in_child=leave)
