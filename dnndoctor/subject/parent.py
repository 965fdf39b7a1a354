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

from dnndoctor.subject import listing, process, trackers, world
from dnndoctor.subject.given import Given
from dnndoctor.subject.listening import Channel, Watcher
from dnndoctor.subject.log import Pump
from dnndoctor.subject.outcome import Happened, judge, told
from dnndoctor.subject.program import Program
from dnndoctor.subject.protocol import LEAD, Ending, Job, Lead
from dnndoctor.subject.restore import remove_tree, restore

if TYPE_CHECKING:
    from dnndoctor.diagnosis import Outcome

OnProgress = Callable[[str, int, int, float], None]
PACKAGE_ROOT = str(Path(__file__).resolve().parents[2])
# -P keeps the working directory off sys.path; our own folder comes last, so that it never hides a module of the user's.
# Signal 9 at the parent's death (prctl 1): a parent that is killed leaves no training running. And where memory runs
# out, the child is to be killed for it, and not whatever else works on the machine.
BOOTSTRAP = """
import sys
bare = set(sys.modules)
import ctypes, importlib.util
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")
    except OSError:
        pass
root, job = sys.argv[1:3]
if importlib.util.find_spec("dnndoctor") is None:
    sys.path.append(root)
from dnndoctor.subject.child import main
main(job, bare)
"""
COMMAND = (sys.executable, "-P", "-c", BOOTSTRAP, PACKAGE_ROOT)
GRACE_SECONDS = 5.0
OUTPUT_LINES = 20
NOTHING_GIVEN = Given()


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectResult:
    """What came of it.

    ``output``: the last lines that the script wrote, ``log``: the file of all of them, ``recording``: the file of what
    was measured. ``notes``: how it was started, what could not be put back, and the like. ``phases``: seconds by phase.
    ``overlaid``: nothing written below the working directory reached the disk.
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
    recording: str
    overlaid: bool


def run_subject(
    program: Program,
    args: Sequence[str] = (),
    *,
    cwd: str,
    scratch: str,
    recording: str,
    budget: float,
    on_progress: OnProgress | None = None,
    steps: int = 50,
    probes: bool = True,
    only_probes: tuple[str, ...] = (),
    seed: int | None = None,
    seed_shift: int = 0,
    family: str | None = None,
    keep_files: bool = False,
    given: Given = NOTHING_GIVEN,
    command: Sequence[str] = COMMAND,
    grace: float = GRACE_SECONDS,
) -> SubjectResult:
    """Run the program, watched, for at most ``budget`` seconds, and put everything back.

    ``scratch``: an empty folder that the caller throws away. ``recording`` lies in it: what the child writes elsewhere
    is undone. ``on_progress`` gets phase, step, total and the seconds left, also where nothing new is known. After the
    budget the child has ``grace`` seconds to end by itself.
    """
    job = Job(
        program=program,
        args=tuple(args),
        cwd=os.path.abspath(cwd),
        recording=os.path.abspath(recording),
        scratch=os.path.realpath(scratch),
        progress=os.path.join(os.path.realpath(scratch), "progress"),
        parent=os.getpid(),
        deadline=time.monotonic() + budget,
        steps=steps,
        probes=probes,
        only_probes=only_probes,
        seed=seed,
        seed_shift=seed_shift,
        family=family,
        keep_files=keep_files,
        given=given,
    )
    with signals_noted() as stop:
        watcher = Watcher(on_progress or (lambda *_: None), job.deadline, grace, stop)
        return _Examination(job, command, budget, watcher, stop).result()


class _Examination:
    """Attempts to run the program: one, or a second one in the world that the first one asked for."""

    def __init__(self, job: Job, command: Sequence[str], budget: float, watcher: Watcher, stop: Sequence[int]) -> None:
        self._job, self._command, self._budget, self._watcher, self._stop = job, command, budget, watcher, stop
        self._began = time.monotonic()
        self._before = listing.Listing() if job.keep_files else listing.take(job.cwd)
        self._notes = [job.program.note] if job.program.note else []

    def result(self) -> SubjectResult:
        kills = process.out_of_memory_kills() or 0
        code, clean = self._attempt({})
        if self._wants_world() and not self._stop and time.monotonic() < self._job.deadline:
            self._notes.append(world.NOTE)
            _empty(self._job.scratch)
            code, clean = self._attempt(world.environment())
        return self._judged(code, clean, (process.out_of_memory_kills() or 0) - kills)

    def _wants_world(self) -> bool:
        ending = self._watcher.ending
        if ending is None or self._watcher.steps:
            return False
        return ending.wants_world or (ending.kind in ("exit", "exception") and world.is_told(tail(_log(self._job))))

    def _attempt(self, variables: Mapping[str, str]) -> tuple[int, Cleaning]:
        job, watcher, clean = self._job, self._watcher, Cleaning()
        watcher.begin()
        pump = Pump(_log(job))
        with process.adopting() as not_ours:
            try:
                code = self._run(variables, pump)
            finally:
                process.end_all(watcher.pid, not_ours)
                pump.finish()
                if not job.keep_files:
                    clean = _clean(job, self._before)
        return code, clean

    def _run(self, variables: Mapping[str, str], pump: Pump) -> int:
        job = self._job
        channel = Channel(job.progress)
        job_file = os.path.join(job.scratch, "job.json")
        Path(job_file).write_bytes(msgspec.json.encode(job))
        environment = {**trackers.environment(job.scratch), **variables}
        for name in ("DNNDOCTOR_JOB", "DNNDOCTOR_FLIGHT"):  # a check within a check is followed by its own parent
            environment.pop(name, None)
        try:
            arguments = [*self._command, job_file]
            with process.silent_terminal() as reading:
                child = process.start(
                    arguments, cwd=job.cwd, environment=environment, reading=reading, output=pump.writing
                )
                pump.started()
                return self._watcher.follow(child, channel)
        finally:
            channel.close()

    def _judged(self, code: int, clean: Cleaning, memory_kills: int) -> SubjectResult:
        job, watcher = self._job, self._watcher
        lead = _lead(job)
        happened = Happened(
            ending=watcher.ending,
            code=code,
            script=job.script,
            budget=self._budget,
            killed=watcher.killed,
            interrupted=bool(self._stop),
            phases=tuple(watcher.phases),
            steps=watcher.steps,
            memory_kills=memory_kills,
            output=tail(_log(job)),
        )
        outcome, reason = judge(happened)
        notes = (*self._notes, *_of_lead(lead), *_after_all(happened, outcome), *clean.notes)
        return SubjectResult(
            outcome=outcome,
            reason=reason,
            ending=watcher.ending,
            steps=watcher.steps,
            output=happened.output,
            notes=notes,
            phases=watcher.phases,
            wall_seconds=time.monotonic() - self._began,
            log=_log(job),
            recording=lead.recording if lead else job.recording,
            overlaid=clean.overlaid,
        )


def _log(job: Job) -> str:
    return os.path.join(job.scratch, "output.log")


def _empty(folder: str) -> None:
    for each in Path(folder).iterdir():
        if each.is_dir() and not each.is_symlink():
            remove_tree(str(each))
        else:
            each.unlink()


def _lead(job: Job) -> Lead | None:
    """The process that was examined, if one made a step."""
    try:
        return msgspec.json.decode(Path(job.scratch, LEAD).read_bytes(), type=Lead)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def _of_lead(lead: Lead | None) -> Iterator[str]:
    if lead is not None and not lead.own:
        yield "the training runs in a process that the script started; that one was examined"
    if lead is not None and lead.company:
        yield f"only watched, nothing tried: {lead.company}"


def _after_all(happened: Happened, outcome: Outcome) -> Iterator[str]:
    """How a script broke off that had been examined by then."""
    ending = happened.ending
    if str(outcome) == "examined" and ending is not None and ending.kind in ("exception", "exit"):
        yield f"after the examination was through {told(happened, ending)}"


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
