"""Following the child: its progress lines, its time, and how it is brought to an end."""

from __future__ import annotations

import os
import select
import signal
import time
from typing import TYPE_CHECKING

import msgspec

from dnndoctor.subject.process import signal_group
from dnndoctor.subject.protocol import Ending, Progress

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

TICK_SECONDS = 0.05
DRAW_SECONDS = 0.25
TERM_SECONDS = 2.0


class Watcher:
    """What is known of the child. ``stop`` grows by each signal that asks us to end: one asks, two force it."""

    def __init__(
        self, on_progress: Callable[[str, int, int, float], None], deadline: float, grace: float, stop: list[int]
    ) -> None:
        self._on_progress = on_progress
        self._deadline = deadline
        self._grace = grace
        self._stop = stop
        self._asked = 0.0
        self._drawn = 0.0
        self._since = time.monotonic()
        self._rest = b""
        self._phase = "start"
        self.pid = -1
        self.phases: dict[str, float] = {"start": 0.0}
        self.step = self.total = self.steps = 0
        self.ending: Ending | None = None
        self.killed = False

    def follow(self, child: subprocess.Popen[bytes], lines: int) -> int:
        """Until the child is gone; gives its exit code, negative for a signal."""
        self.pid = child.pid
        open_ = True
        while child.poll() is None:
            if open_ and select.select([lines], [], [], TICK_SECONDS)[0]:
                open_ = self._read(lines)
            elif not open_:
                time.sleep(TICK_SECONDS)
            self._draw()
            self._keep_time(child)
        while open_ and select.select([lines], [], [], 0)[0]:
            open_ = self._read(lines)
        self._turn_to(self._phase)
        return child.returncode

    def _read(self, lines: int) -> bool:
        chunk = os.read(lines, 65536)
        *whole, self._rest = (self._rest + chunk).split(b"\n")
        for line in whole:
            self._take(msgspec.json.decode(line, type=Progress))
        return bool(chunk)

    def _take(self, told: Progress) -> None:
        if told.ending is not None:
            self.ending = told.ending
            self.steps = max(self.steps, told.ending.steps)
            return
        self._turn_to(told.phase)
        self.step, self.total = told.step, told.total
        if told.phase == "observe":
            self.steps = max(self.steps, told.step)
        self._drawn = 0.0

    def _turn_to(self, phase: str) -> None:
        now = time.monotonic()
        self.phases[self._phase] = self.phases.get(self._phase, 0.0) + now - self._since
        self._since, self._phase = now, phase
        self.phases.setdefault(phase, 0.0)

    def _draw(self) -> None:
        now = time.monotonic()
        if now - self._drawn >= DRAW_SECONDS:
            self._drawn = now
            self._on_progress(self._phase, self.step, self.total, max(0.0, self._deadline - now))

    def _keep_time(self, child: subprocess.Popen[bytes]) -> None:
        now = time.monotonic()
        if self._stop and not self._asked:
            self._asked = now
            os.kill(child.pid, signal.SIGINT)
        limit = self._asked + self._grace if self._asked else self._deadline + self._grace
        if len(self._stop) > 1 or now > limit + TERM_SECONDS:
            self.killed = True
            signal_group(child, signal.SIGKILL)
        elif now > limit and not self.killed:
            self.killed = True
            signal_group(child, signal.SIGTERM)
