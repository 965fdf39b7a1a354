"""The whole training as Python runs it, with the recorder in it; the parent waits, passes signals on and reports.

The program is started as it would be without us. It finds our ``sitecustomize`` through ``PYTHONPATH``, and so do the
processes that it starts: each one whose optimizer steps writes a recording of its own.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from dnndoctor.subject.flight_job import FlightJob, recordings, stop_file
from dnndoctor.subject.launchers import launch_name
from dnndoctor.subject.process import out_of_memory_kills

if TYPE_CHECKING:
    from dnndoctor.subject.program import Program

FOLLOW = Path(__file__).parent / "follow"
ROOT = Path(__file__).parents[2]
LOOK_EVERY = 0.2  # seconds
OF_TERMINAL = ("SIGINT", "SIGQUIT", "SIGHUP", "SIGCONT")  # which the terminal sends to the program as well as to us
PASSED_ON = (*OF_TERMINAL, "SIGTERM", "SIGUSR2")
PR_SET_PDEATHSIG = 1
FROM_KERNEL = 0x80  # si_code of a signal that no process has sent
# Flags of our own interpreter that would keep our sitecustomize away, or the working directory off the path.
NOT_FOR_IT = frozenset(("-I", "-E", "-P", "-s", "-S"))


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
        self._job: FlightJob | None = None
        self.stopped = False
        self.launch = launch_name()
        self._told = False

    @property
    def recordings(self) -> list[Path]:
        """Those that were begun until now."""
        return recordings(self._job) if self._job is not None else []

    def stop(self) -> None:
        """End the training at the next border of a step, as Ctrl-C does."""
        if self._job is not None and not self.stopped:
            self.stopped = True
            Path(stop_file(self._job)).touch()

    def fly(
        self,
        program: Program,
        args: Sequence[str],
        *,
        recording: Path,
        overhead: float,
        max_bytes: int,
        keep_batches: bool = False,
    ) -> Flown:
        """Run the program to its end."""
        kills = out_of_memory_kills()
        with tempfile.TemporaryDirectory(prefix="dnndoctor-", ignore_cleanup_errors=True) as scratch:
            self._job = FlightJob(
                script=program.path,
                args=tuple(args),
                recording=str(recording.absolute()),
                overhead=overhead,
                max_bytes=max_bytes,
                keep_batches=keep_batches,
                scratch=scratch,
                parent=os.getpid(),
                launch=self.launch,
            )
            job_file = Path(scratch, "job.json")
            job_file.write_bytes(msgspec.json.encode(self._job))
            words = [sys.executable, *_flags(), *command(program), *args]
            with _signals() as signals:
                process = subprocess.Popen(words, env=_environment(job_file, program), preexec_fn=signals.for_program)
                code = self._wait(process, signals)
            more = out_of_memory_kills()
            killed = kills is not None and more is not None and more > kills and code == -signal.SIGKILL
            return Flown(code, tuple(self.recordings), self.stopped, killed)

    def _wait(self, process: subprocess.Popen[bytes], signals: _Signals) -> int:
        looked = time.monotonic()
        while (code := process.poll()) is None:
            came = signals.next(LOOK_EVERY)
            if came is not None and came in signals.passed_on:
                process.send_signal(came)  # which it ignores where the program is gone
            elif came == signals.report:
                self._shielded(self._asked)
            if time.monotonic() - looked >= LOOK_EVERY:
                self._shielded(self._look)
                looked = time.monotonic()
        return code

    def _shielded(self, call: Callable[[Flight], None]) -> None:
        """The program ends with us: no bug of ours, and no full disk, may end us before it has."""
        try:
            call(self)
        except Exception as bug:  # noqa: BLE001 - told once
            if not self._told:
                self._told = True
                said = f"dnndoctor: judging the run has failed ({type(bug).__name__}: {bug}); the run goes on"
                print(said, file=sys.stderr)


def command(program: Program) -> list[str]:
    """What comes after ``python`` to start it as its user does."""
    if program.start == "module":
        return ["-m", program.module.removesuffix(".__main__")]
    if program.start == "function" and not os.path.isfile(program.argv0):
        call = f"sys.exit({program.function}())"
        top = program.function.split(".")[0]
        code = f"import sys; sys.argv[0] = {program.argv0!r}; from {program.module} import {top}; {call}"
        return ["-c", code]
    return [program.argv0]


def _flags() -> list[str]:
    """Those that our own interpreter was started with: -O, -W, -X and the like."""
    flags: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    return [each for each in flags if each not in NOT_FOR_IT]


def _environment(job_file: Path, program: Program) -> dict[str, str]:
    paths = [str(FOLLOW)]
    if program.start in ("module", "function") and program.first != os.getcwd():
        paths.append(program.first)  # a file with relative imports is part of a package that lies elsewhere
    if os.environ.get("PYTHONPATH"):
        paths.append(os.environ["PYTHONPATH"])
    found = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    found.pop("DNNDOCTOR_JOB", None)
    return {**found, "DNNDOCTOR_FLIGHT": str(job_file), "DNNDOCTOR_ROOT": str(ROOT), "DNNDOCTOR_CWD": os.getcwd()}


class _Signals:
    """Those that wait for us while the program runs; it has them as if it had been started without us."""

    def __init__(self) -> None:
        self.passed_on = frozenset(getattr(signal, each) for each in PASSED_ON if hasattr(signal, each))
        self.report: int | None = getattr(signal, "SIGUSR1", None)
        self._of_terminal = frozenset(getattr(signal, each) for each in OF_TERMINAL if hasattr(signal, each))
        self._wanted = {*self.passed_on, signal.SIGUSR1, signal.SIGCHLD}
        self._before: set[int] = set()

    def block(self) -> None:
        """From now on."""
        self._before = set(signal.pthread_sigmask(signal.SIG_BLOCK, self._wanted))

    def unblock(self) -> None:
        """As it was."""
        signal.pthread_sigmask(signal.SIG_SETMASK, self._before)

    def for_program(self) -> None:
        """Called in the process that becomes the program. It ends with us, as it would if we were not between."""
        self.unblock()
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)

    def next(self, seconds: float) -> int | None:
        """The next one that is meant for us alone; None after ``seconds``, or where the program has been told too.

        What the terminal sends (Ctrl-C) goes to all processes in front of it.
        """
        if not hasattr(signal, "sigtimedwait"):
            return self._next_pending(seconds)
        came = signal.sigtimedwait(self._wanted, seconds)
        if came is None or (came.si_signo in self._of_terminal and came.si_code == FROM_KERNEL):
            return None
        number: int = came.si_signo
        return number

    def _next_pending(self, seconds: float) -> int | None:
        """Where who has sent a signal is not told; one that a terminal may send is taken to come from there."""
        time.sleep(min(seconds, LOOK_EVERY / 4))
        for each in {*signal.sigpending()} & self._wanted:
            signal.sigwait({each})
            if each in self.passed_on - self._of_terminal or each == self.report:
                return int(each)
        return None


@contextlib.contextmanager
def _signals() -> Iterator[_Signals]:
    signals = _Signals()
    signals.block()
    try:
        yield signals
    finally:
        signals.unblock()
