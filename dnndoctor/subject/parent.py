"""The parent's half: starts the child, listens, owns the time, and leaves no trace. Imports no torch."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from dnndoctor.subject import listing, process, trackers
from dnndoctor.subject.listening import Watcher
from dnndoctor.subject.outcome import Happened, judge
from dnndoctor.subject.protocol import Ending, Job
from dnndoctor.subject.restore import restore

if TYPE_CHECKING:
    from dnndoctor.diagnosis import Outcome

OnProgress = Callable[[str, int, int, float], None]
PACKAGE_ROOT = str(Path(__file__).resolve().parents[2])
# -P keeps the working directory off sys.path; our own folder comes last, so that it never hides a module of the user's.
# Signal 9 at the parent's death (prctl 1): a parent that is killed leaves no training running.
BOOTSTRAP = """
import ctypes, importlib.util, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)
root, job = sys.argv[1:3]
if importlib.util.find_spec("dnndoctor") is None:
    sys.path.append(root)
from dnndoctor.subject.child import main
main(job)
"""
COMMAND = (sys.executable, "-P", "-c", BOOTSTRAP, PACKAGE_ROOT)
GRACE_SECONDS = 5.0
OUTPUT_LINES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectResult:
    """What came of it.

    ``output``: the last lines that the script wrote, ``log``: all of them. ``notes``: what could not be put back, and
    the like. ``phases``: seconds by phase. ``overlaid``: nothing written below the working directory reached the disk.
    """

    outcome: Outcome
    reason: str | None
    ending: Ending | None
    steps: int
    output: tuple[str, ...]
    notes: tuple[str, ...]
    phases: Mapping[str, float]
    wall_seconds: float
    log: str
    overlaid: bool


def run_subject(
    script: str,
    args: Sequence[str] = (),
    *,
    cwd: str,
    scratch: str,
    recording: str,
    budget: float,
    on_progress: OnProgress | None = None,
    steps: int = 50,
    probes: bool = True,
    seed: int | None = None,
    family: str | None = None,
    keep_files: bool = False,
    command: Sequence[str] = COMMAND,
    grace: float = GRACE_SECONDS,
) -> SubjectResult:
    """Run the script, watched, for at most ``budget`` seconds, and put everything back.

    ``scratch``: an empty folder that the caller throws away. ``recording`` lies in it: what the child writes elsewhere
    is undone. ``on_progress`` gets phase, step, total and the seconds left, also where nothing new is known. After the
    budget the child has ``grace`` seconds to end by itself.
    """
    job = Job(
        script=script,
        args=tuple(args),
        cwd=os.path.abspath(cwd),
        recording=os.path.abspath(recording),
        scratch=os.path.realpath(scratch),
        progress_fd=-1,
        deadline=time.monotonic() + budget,
        steps=steps,
        probes=probes,
        seed=seed,
        family=family,
        keep_files=keep_files,
    )
    with signals_noted() as stop:
        watcher = Watcher(on_progress or (lambda *_: None), job.deadline, grace, stop)
        return _examine(job, command, budget, watcher, stop)


def _examine(job: Job, command: Sequence[str], budget: float, watcher: Watcher, stop: Sequence[int]) -> SubjectResult:
    began = time.monotonic()
    before = listing.Listing() if job.keep_files else listing.take(job.cwd)
    kills = process.out_of_memory_kills() or 0
    clean = Cleaning()
    with process.adopting() as not_ours:
        try:
            code = _run(job, command, watcher)
        finally:
            process.end_all(watcher.pid, not_ours)
            if not job.keep_files:
                clean = _clean(job, before)
    output = tail(_log(job))
    happened = Happened(
        ending=watcher.ending,
        code=code,
        script=job.script,
        budget=budget,
        killed=watcher.killed,
        interrupted=bool(stop),
        phases=tuple(watcher.phases),
        steps=watcher.steps,
        memory_kills=(process.out_of_memory_kills() or 0) - kills,
        output=output,
    )
    outcome, reason = judge(happened)
    return SubjectResult(
        outcome=outcome,
        reason=reason,
        ending=watcher.ending,
        steps=watcher.steps,
        output=output,
        notes=clean.notes,
        phases=watcher.phases,
        wall_seconds=time.monotonic() - began,
        log=_log(job),
        overlaid=clean.overlaid,
    )


def _log(job: Job) -> str:
    return os.path.join(job.scratch, "output.log")


def _run(job: Job, command: Sequence[str], watcher: Watcher) -> int:
    reading, writing = os.pipe()
    job_file = os.path.join(job.scratch, "job.json")
    Path(job_file).write_bytes(msgspec.json.encode(msgspec.structs.replace(job, progress_fd=writing)))
    with open(reading, "rb", buffering=0) as lines:
        try:
            environment = trackers.environment(job.scratch)
            arguments = [*command, job_file]
            child = process.start(arguments, cwd=job.cwd, environment=environment, log=_log(job), inherit=writing)
        finally:
            os.close(writing)
        return watcher.follow(child, lines.fileno())


@contextlib.contextmanager
def signals_noted() -> Iterator[list[int]]:
    """Ctrl-C, a closed terminal or a polite kill must not keep us from putting everything back: they are only noted."""
    noted: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    try:
        old = [(number, signal.signal(number, lambda got, _frame: noted.append(got))) for number in numbers]
    except ValueError:  # not in the main thread, where signals are somebody else's
        yield noted
        return
    try:
        yield noted
    finally:
        for number, handler in old:
            signal.signal(number, handler)


@dataclass(frozen=True, slots=True)
class Cleaning:
    """What came of putting everything back."""

    notes: tuple[str, ...] = ()
    overlaid: bool = False


def _clean(job: Job, before: listing.Listing) -> Cleaning:
    done = restore(job.scratch)
    notes = [f"could not be put back: {path} ({why})" for path, why in done.failed]
    overlaid = os.path.realpath(job.cwd) in done.overlaid
    if not overlaid:  # else what changed there meanwhile was somebody else's doing
        notes += listing.clear_up(before, listing.take(job.cwd), done.noted)
    return Cleaning(tuple(notes), overlaid)


def tail(path: str, lines: int = OUTPUT_LINES) -> tuple[str, ...]:
    """The last lines of a text; of a line that was drawn over (a progress bar) its last state."""
    if not os.path.exists(path):
        return ()
    with open(path, "rb") as file:
        file.seek(max(0, os.path.getsize(path) - 65536))
        text = file.read().decode("utf-8", "replace")
    shown = (line.rstrip("\r").rpartition("\r")[2].rstrip() for line in text.split("\n"))
    return tuple([line for line in shown if line][-lines:])
