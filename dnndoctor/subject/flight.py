"""The whole training as Python runs it, with the recorder in it; the parent waits, passes signals on and reports.

The program is started as it would be without us. It finds our ``sitecustomize`` through ``PYTHONPATH``, and so do the
processes that it starts: each one whose optimizer steps writes a recording of its own.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from dnndoctor.subject.flight_job import FlightJob, recordings, stop_file
from dnndoctor.subject.process import out_of_memory_kills

if TYPE_CHECKING:
    from dnndoctor.subject.program import Program

FOLLOW = Path(__file__).parent / "follow"
ROOT = Path(__file__).parents[2]
PASSED_ON = ("SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR2", "SIGCONT")
LOOK_EVERY = 0.2  # seconds


@dataclass(frozen=True, slots=True)
class Flown:
    """How a recorded training ended. ``code``: as ``Popen.returncode``, negative for a signal."""

    code: int
    recordings: tuple[Path, ...]
    stopped: bool
    memory_killed: bool


class Flight:
    """A recorded training while it runs. ``look`` is called about five times a second, and ``asked`` for SIGUSR1."""

    def __init__(self, look: Callable[[Flight], None], asked: Callable[[Flight], None]) -> None:
        self._look, self._asked = look, asked
        self._wanted = False
        self._job: FlightJob | None = None
        self.stopped = False

    @property
    def recordings(self) -> list[Path]:
        """Those that were begun until now."""
        return recordings(self._job) if self._job is not None else []

    def stop(self) -> None:
        """End the training at the next border of a step, as Ctrl-C does."""
        if self._job is not None and not self.stopped:
            self.stopped = True
            Path(stop_file(self._job)).touch()

    def fly(self, program: Program, args: Sequence[str], *, recording: Path, overhead: float, max_bytes: int) -> Flown:
        """Run the program to its end."""
        kills = out_of_memory_kills()
        with tempfile.TemporaryDirectory(prefix="dnndoctor-", ignore_cleanup_errors=True) as scratch:
            self._job = FlightJob(
                script=program.path,
                args=tuple(args),
                recording=str(recording.absolute()),
                overhead=overhead,
                max_bytes=max_bytes,
                scratch=scratch,
                parent=os.getpid(),
            )
            job_file = Path(scratch, "job.json")
            job_file.write_bytes(msgspec.json.encode(self._job))
            with _passing_signals(self) as passing:
                process = subprocess.Popen([sys.executable, *command(program), *args], env=_environment(job_file))
                passing.append(process)
                code = self._wait(process)
            more = out_of_memory_kills()
            killed = kills is not None and more is not None and more > kills and code == -signal.SIGKILL
            return Flown(code, tuple(self.recordings), self.stopped, killed)

    def _wait(self, process: subprocess.Popen[bytes]) -> int:
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.wait(LOOK_EVERY)
            if self._wanted:
                self._wanted = False
                self._asked(self)
            self._look(self)

    def want(self) -> None:
        """A report is asked for."""
        self._wanted = True


def command(program: Program) -> list[str]:
    """What comes after ``python`` to start it as its user does."""
    if program.start == "module":
        return ["-m", program.module.removesuffix(".__main__")]
    if program.start == "function":
        call = f"sys.exit({program.function}())"
        top = program.function.split(".")[0]
        code = f"import sys; sys.argv[0] = {program.argv0!r}; from {program.module} import {top}; {call}"
        return ["-c", code]
    return [program.argv0]


def _environment(job_file: Path) -> dict[str, str]:
    path = os.environ.get("PYTHONPATH")
    found = {**os.environ, "PYTHONPATH": f"{FOLLOW}{os.pathsep}{path}" if path else str(FOLLOW)}
    found.pop("DNNDOCTOR_JOB", None)
    return {**found, "DNNDOCTOR_FLIGHT": str(job_file), "DNNDOCTOR_ROOT": str(ROOT)}


@contextlib.contextmanager
def _passing_signals(flight: Flight) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Ctrl-C reaches the program by itself, and we wait for what it does then; other signals are passed on to it."""
    to: list[subprocess.Popen[bytes]] = []

    def pass_on(number: int, _frame: object) -> None:
        for each in to:
            with contextlib.suppress(ProcessLookupError):
                each.send_signal(number)

    handlers: dict[str, Callable[[int, object], None]] = dict.fromkeys(PASSED_ON, pass_on)
    handlers |= {"SIGINT": lambda _number, _frame: None, "SIGUSR1": lambda _number, _frame: flight.want()}
    before = {}
    for name, handler in handlers.items():
        if hasattr(signal, name):
            before[name] = signal.signal(getattr(signal, name), handler)
    try:
        yield to
    finally:
        for name, handler_before in before.items():
            signal.signal(getattr(signal, name), handler_before)
