"""Following the child: its progress lines, its time, and how it is brought to an end."""

from __future__ import annotations

import contextlib
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
LEAVE_SECONDS = 3.0


class Channel:
    """The named pipe that progress lines come through, from whichever process writes them."""

    def __init__(self, path: str) -> None:
        os.mkfifo(path, 0o600)
        self.fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self._kept_open = os.open(path, os.O_WRONLY | os.O_NONBLOCK)  # else it ends as its first writer does
        self._waiting = select.poll()
        self._waiting.register(self.fd, select.POLLIN)
        self._rest = b""

    def lines(self, seconds: float) -> list[bytes]:
        """Those that came, after waiting for ``seconds`` at the most."""
        if not self._waiting.poll(seconds * 1000):
            return []
        *whole, self._rest = (self._rest + os.read(self.fd, 65536)).split(b"\n")
        return whole

    def close(self) -> None:
        """Nobody is left to write."""
        os.close(self.fd)
        os.close(self._kept_open)


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
        self._ended = 0.0
        self._phase = "start"
        self._lead = 0
        self.pid = -1
        self.phases: dict[str, float] = {"start": 0.0}
        self.step = self.total = self.steps = 0
        self.ending: Ending | None = None
        self.killed = False

    def begin(self) -> None:
        """A child is about to be started, perhaps not the first: nothing is known of it."""
        self._lead, self._ended, self.ending, self.killed = 0, 0.0, None, False

    def follow(self, child: subprocess.Popen[bytes], channel: Channel) -> int:
        """Until the child is gone; gives its exit code, negative for a signal."""
        self.pid = child.pid
        while child.poll() is None:
            self._take_all(channel.lines(TICK_SECONDS))
            self._draw()
            self._keep_time(child)
        while lines := channel.lines(0):
            self._take_all(lines)
        self._turn_to(self._phase)
        return child.returncode

    def _take_all(self, lines: list[bytes]) -> None:
        for line in lines:
            with contextlib.suppress(msgspec.DecodeError):  # a line of ours is whole; what is not is somebody else's
                self._take(msgspec.json.decode(line, type=Progress))

    def _take(self, told: Progress) -> None:
        if told.ending is not None:
            self._take_ending(told.pid, told.ending)
            return
        self._turn_to(told.phase)
        self.step, self.total = told.step, told.total
        if told.phase == "observe":
            self.steps = max(self.steps, told.step)
            self._lead = told.pid if told.step else self._lead
        self._drawn = 0.0

    def _take_ending(self, pid: int, ending: Ending) -> None:
        """The examined process has the last word; what started it waits for it, and need not end by itself."""
        if self.ending is None or pid == self._lead:
            self.ending = ending
            self.steps = max(self.steps, ending.steps)
        self._ended = self._ended or time.monotonic()

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
        if self._ended and (self._lead not in (0, child.pid) or now > self._ended + LEAVE_SECONDS):
            signal_group(child, signal.SIGKILL)
            return
        limit = self._asked + self._grace if self._asked else self._deadline + self._grace
        if len(self._stop) > 1 or now > limit + TERM_SECONDS:
            self.killed = True
            signal_group(child, signal.SIGKILL)
        elif now > limit and not self.killed:
            self.killed = True
            signal_group(child, signal.SIGTERM)
