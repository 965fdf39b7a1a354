"""Progress lines to the parent, and descriptors of ours that the script must not close or reuse."""

from __future__ import annotations

import errno
import functools
import os
import time

import msgspec

from dnndoctor.subject.protocol import Ending, Progress


class Reporter:
    """Writes into the parent's named pipe; a progress line that cannot be written is not missed."""

    def __init__(self, pipe: str) -> None:
        self._pipe = pipe
        self._fd = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self._last = ("", 0.0)

    def __call__(self, phase: str, step: int = 0, total: int = 0) -> None:
        """At most fifty lines a second of one phase; its first step always."""
        now = time.monotonic()
        if phase == self._last[0] and now - self._last[1] < 0.02 and step not in (1, total):
            return
        self._last = (phase, now)
        self._send(Progress(phase=phase, step=step, total=total, pid=os.getpid()))

    def end(self, ending: Ending, seconds: float = 1.0) -> None:
        """The last line; it must arrive."""
        until = time.monotonic() + seconds
        while not self._send(Progress(phase="end", ending=ending, pid=os.getpid())) and time.monotonic() < until:
            time.sleep(0.01)

    def _send(self, progress: Progress) -> bool:
        try:
            os.write(self._fd, msgspec.json.encode(progress) + b"\n")
        except BlockingIOError:
            return False
        except OSError:
            return True  # nobody listens any more
        return True


def keep_descriptors(scratch: str) -> None:
    """Closing whatever is open, as programs do that turn into daemons, spares the files that we work with."""
    close, closerange = os.close, os.closerange
    ours = tuple(os.path.join(os.path.realpath(scratch), each) for each in ("progress", "manifest", "recording"))

    def is_ours(fd: object) -> bool:
        try:
            return os.readlink(f"/proc/self/fd/{fd}").startswith(ours)
        except OSError:
            return False

    @functools.wraps(close)
    def close_one(fd: int) -> None:
        if is_ours(fd):
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))  # without us there would be no such descriptor
        close(fd)

    @functools.wraps(closerange)
    def close_range(fd_low: int, fd_high: int, /) -> None:
        kept = [fd for fd in _open_descriptors() if fd_low <= fd < fd_high and is_ours(fd)]
        for low, high in zip([fd_low, *(fd + 1 for fd in kept)], [*kept, fd_high], strict=True):
            closerange(low, high)

    os.close, os.closerange = close_one, close_range


def _open_descriptors() -> list[int]:
    try:
        return sorted(int(each) for each in os.listdir("/proc/self/fd"))
    except FileNotFoundError:
        return []
