"""Where the recorder puts what it measures: bounded in memory and on disk, and whole after any end.

Figures wait in memory for at most ``flush_seconds`` and are then written by a thread of their own, in one transaction
that is synced to the disk: what a kill or a power cut takes away is what came after the last one. Of a run that is
longer than its room, older points are thinned: the fewer stay the further back they lie, but those that stick
out of their neighborhood do.
"""

from __future__ import annotations

import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dnndoctor.recorder.thinning import Thinning
from dnndoctor.recording.writer import Writer

FLUSH_SECONDS = 2.0
MANY_WAITING = 50_000  # values in memory, which are written before their time
MOST_WAITING = 400_000  # in memory while the disk takes none

Call = Callable[[], None]
Values = tuple[int, float, Sequence[int], Sequence[float]]


class Store:
    """One recording that grows while a program trains. Knows no torch; ``add`` is the only call on the hot path.

    ``limit_bytes``: how large the file may grow. ``seconds``: of processor time that writing has taken. Nothing raises
    once it stands: what cannot be written is told on standard error, once, and tried again later.

    The file is made by ``open``, and what was given before that is written then.
    """

    def __init__(
        self, path: Path | None = None, *, limit_bytes: int = 200_000_000, flush_seconds: float = FLUSH_SECONDS
    ) -> None:
        self.path = path or Path()
        self.limit_bytes, self.flush_seconds = limit_bytes, flush_seconds
        self.seconds = 0.0
        self.dropped = 0  # values that found no room while the disk took none
        self.at_intervals: Call = lambda: None  # called by the thread that writes, after each attempt
        self._writer: Writer | None = None
        self._count = self._waiting = 0
        self._values: list[Values] = []
        self._calls: list[Call] = []
        self._writing = threading.Lock()
        self._wake = threading.Event()
        self._ended = self._told = self._failing = False
        self._thread = threading.Thread(target=self._run, name="dnndoctor-writer", daemon=True)
        if path is not None:
            self.open(path)

    def open(self, path: Path) -> None:
        """Make the recording, and the thread that writes it. Raises sqlite3.Error where none can be made there."""
        self.path = path
        self._writer = Writer(str(path), durable=True)
        self._thinning = Thinning(self._writer, self.limit_bytes)
        self._thread.start()

    @property
    def writer(self) -> Writer:
        """What writes the file; there is one once it is open."""
        assert self._writer is not None, "the store is not open"
        return self._writer

    def series(self, name: str, role: str, **facts: Any) -> int:
        """Declare a quantity that is measured again and again; gives its number.

        ``role``: as of ``measurements.Curve``, or "gradient", "update", "weight" and "activation" with ``parameter`` or
        ``module`` and ``statistic`` in the facts.
        """
        number, self._count = self._count, self._count + 1
        self.put("series", [{"id": number, "name": name, "role": role, "facts": {"file": "", **facts}}])
        return number

    def add(self, step: int, time: float, series: Sequence[int], values: Sequence[float]) -> None:
        """One value for each of these series."""
        if self._waiting > MOST_WAITING:
            self.dropped += len(values)
            return
        self._waiting += len(values)
        self._values.append((step, time, series, values))
        if self._waiting > MANY_WAITING and not self._failing:
            self._wake.set()

    def put(self, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Rows of any other table; rarely."""
        listed = list(rows)
        self._calls.append(lambda: self.writer.put_all(table, listed))

    def run(self, **facts: Any) -> None:
        """Facts of the run as a whole."""
        self._calls.append(lambda: self.writer.run(**facts))

    def event(self, step: int, kind: str, **facts: Any) -> None:
        """Something that happened once."""
        self.put("event", [{"step": step, "kind": kind, "facts": facts, "location": None}])

    def flush(self) -> bool:
        """Make everything so far last, now; gives whether that worked."""
        if self._writer is None:
            return False
        with self._writing:
            return self._write()

    def close(self) -> None:
        """Flush and fold everything into the one file, if there is one."""
        if self._writer is None:
            return
        self._ended = True
        self._wake.set()
        self._thread.join(timeout=60)
        with self._writing:
            if self._write():
                self._tried(self.writer.close)

    def soon(self) -> None:
        """Let the thread write now, and not at its next interval."""
        self._wake.set()

    # the thread that writes

    def _run(self) -> None:
        while not self._ended:
            self._wake.wait(self.flush_seconds)
            self._wake.clear()
            began = time.thread_time()
            with self._writing:
                self._write()
            self.at_intervals()
            self.seconds += time.thread_time() - began

    def _write(self) -> bool:
        """One transaction; what it was to hold stays for the next one where it fails."""
        writer = self.writer
        calls, values = self._calls, self._values
        ended, taken = len(calls), len(values)
        count = sum(len(each[2]) for each in values[:taken])

        def transaction() -> None:
            for call in calls[:ended]:
                call()
            for step, moment, series, figures in values[:taken]:
                writer.put_step(step, moment, series, figures)
            writer.commit()

        if not self._tried(transaction):
            return False
        for _, _, series, _ in values[:taken]:
            self._thinning.count(series)
        del calls[:ended]
        del values[:taken]
        self._waiting -= count
        return self._tried(self._thinning.keep_to_limit)

    def _tried(self, call: Call) -> bool:
        try:
            call()
        except (sqlite3.Error, OSError) as why:
            self._failing = True
            self.writer.roll_back()
            if not self._told:
                self._told = True
                said = f"dnndoctor: {self.path}: cannot be written ({why}); the training goes on, and so do attempts"
                print(said, file=sys.stderr)
            return False
        self._failing = False
        return True
