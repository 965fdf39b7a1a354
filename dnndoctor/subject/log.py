"""The program's own output: its beginning and its end kept in a file, whatever there is of it."""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from collections import deque

KEPT_BYTES = 1 << 20  # of the beginning, and of the end
CHUNK_BYTES = 1 << 16  # larger ones cost a mapping of memory each
F_SETPIPE_SZ = 1031
PIPE_BYTES = 1 << 20
REST_SECONDS = 0.01


class BoundedLog:
    """A file that takes any amount and grows to twice ``kept`` bytes and a line at the most."""

    def __init__(self, path: str, kept: int = KEPT_BYTES) -> None:
        self._file = open(path, "wb", buffering=0)  # noqa: SIM115 - closed by ``close``
        self._room = self._kept = kept
        self._end: deque[bytes] = deque()
        self._end_bytes = self._lost = 0

    def write(self, chunk: bytes) -> None:
        """Take more output."""
        if self._room:
            with contextlib.suppress(OSError):  # a full disk: the program must not stand still for its log
                self._file.write(chunk[: self._room])
            chunk, self._room = chunk[self._room :], max(0, self._room - len(chunk))
        if chunk:
            self._end.append(chunk)
            self._end_bytes += len(chunk)
            while self._end_bytes - len(self._end[0]) >= self._kept:
                gone = len(self._end.popleft())
                self._end_bytes -= gone
                self._lost += gone

    def close(self) -> None:
        """Write the end behind the beginning."""
        end = b"".join(self._end)
        lost = self._lost + max(0, len(end) - self._kept)
        with contextlib.suppress(OSError):
            if lost:
                self._file.write(f"\n... {lost} bytes of output left out ...\n".encode())
            self._file.write(end[-self._kept :])
        self._file.close()


class Pump:
    """Carries what comes out of a pipe into a log, in a thread, so that the writer never has to wait for us."""

    def __init__(self, path: str) -> None:
        self._log = BoundedLog(path)
        self._reading, self.writing = os.pipe()
        with contextlib.suppress(ImportError, OSError):
            import fcntl

            fcntl.fcntl(self._reading, F_SETPIPE_SZ, PIPE_BYTES)
        self._until: float | None = None
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    def started(self) -> None:
        """The writer has its own end now."""
        os.close(self.writing)

    def finish(self, seconds: float = 1.0) -> None:
        """All writers should be gone: take what is left in the pipe, for ``seconds`` at the most, and close the log."""
        self._until = time.monotonic() + seconds
        self._thread.join()
        os.close(self._reading)
        self._log.close()

    def _carry(self) -> None:
        waiting = select.poll()
        waiting.register(self._reading, select.POLLIN)
        while self._until is None or time.monotonic() < self._until:
            if waiting.poll(100):
                chunk = os.read(self._reading, CHUNK_BYTES)
                if not chunk:
                    return
                self._log.write(chunk)
                if len(chunk) < PIPE_BYTES // 16 and self._until is None:
                    time.sleep(
                        REST_SECONDS
                    )  # let the pipe fill: a program that writes byte by byte is not woken for each
            elif self._until is not None:
                return  # somebody whom we could not end holds the pipe open
