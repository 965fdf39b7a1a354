"""The time of an examination, its phases, and how the user's script is brought to an end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import NoReturn

LONG_STEP = 1.0  # seconds: a step that would end after the deadline is not begun


class Stop(BaseException):
    """Ends the user's script; no ``except Exception`` of theirs holds it up."""


class Clock:
    """``deadline``: ``time.monotonic()`` at which to be through. ``report`` gets phase, step and total."""

    def __init__(self, deadline: float, report: Callable[[str, int, int], None]) -> None:
        self.deadline = deadline
        self.report = report
        self.phase = "observe"
        self.phases: dict[str, float] = {}
        self.stopping: str | None = None  # how we are ending the script
        self.leave: Callable[[str], NoReturn] | None = None  # ends the process, where raising cannot
        self.leaves_at_once = False  # in a process whose launcher would swallow what is raised
        self.began = self.phase_began = time.monotonic()
        self._thread = threading.get_ident()

    @property
    def left(self) -> float:
        """Seconds until the deadline."""
        return self.deadline - time.monotonic()

    @property
    def in_phase(self) -> float:
        """Seconds since the phase began."""
        return time.monotonic() - self.phase_began

    def enter(self, phase: str) -> None:
        """Another phase begins."""
        self.phases[self.phase] = self.phases.get(self.phase, 0.0) + self.in_phase
        self.phase, self.phase_began = phase, time.monotonic()
        self.phases.setdefault(phase, 0.0)
        self.report(phase, 0, 0)

    def first_step(self) -> None:
        """The script has reached its first step, if it had not before; what lies behind was its start."""
        if "start" not in self.phases:
            self.phases["start"] = time.monotonic() - self.began
            self.phase_began = time.monotonic()

    def look(self, step_seconds: list[float]) -> None:
        """Stop if the time is up, or will be before another step as long as the last one is through."""
        last = step_seconds[-1] if step_seconds else 0.0
        if self.left < (last if last > LONG_STEP else 0.0):
            self.stop("budget")

    def still_stopped(self) -> None:
        """The script swallowed what was to end it, or runs its last words: it has had its say."""
        if self.stopping is not None:
            self.stop(self.stopping)

    def stop(self, kind: str = "stopped") -> NoReturn:
        """End the script: raise out of it, or where that was swallowed or nobody would see it, end the process."""
        swallowed, self.stopping = self.stopping is not None, kind
        elsewhere = self.leaves_at_once or threading.get_ident() != self._thread
        if self.leave is not None and (swallowed or elsewhere):
            self.leave(kind)
        raise Stop(kind)
