"""``dnndoctor run``: a whole training with the recorder on, judged while it runs and at its end."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from dnndoctor.config import Settings
from dnndoctor.diagnosis import Diagnosis, Outcome
from dnndoctor.examination import rediagnose
from dnndoctor.findings import Finding, Severity
from dnndoctor.recording.amend import amend
from dnndoctor.recording.launches import Launch, flight_at, flights_at, launches, together
from dnndoctor.subject.flight import Flight, Flown
from dnndoctor.subject.launchers import own_rank
from dnndoctor.subject.process import signal_in_words
from dnndoctor.subject.program import Program
from dnndoctor.workspace import make_way, new_recording

JUDGE_EVERY = 10.0  # seconds at least
JUDGING_SHARE = 0.01  # of one core, for judging while the training runs
EVENTS_EVERY = 1.0
OTHERS_SECONDS = 10.0  # that rank 0 waits for the recordings of the others


class Flying(Protocol):
    """A training that goes on: what it has recorded until now, and how it is ended."""

    @property
    def recordings(self) -> Sequence[Path]:
        """Those that were begun until now."""

    def stop(self) -> None:
        """End the training at the next border of a step."""


class Live:
    """Judges the growing recording, and tells each finding once as it arises."""

    def __init__(self, settings: Settings, stop_on: Collection[str], quiet: bool) -> None:
        self._settings, self._stop_on, self._quiet = settings, frozenset(stop_on), quiet
        self._told: set[tuple[str, str | None]] = set()
        self._next = time.monotonic() + JUDGE_EVERY
        self._events_next = 0.0
        self._events = 0
        self.stopped_by: Finding | None = None

    def look(self, flight: Flying) -> None:
        """Judge if it is time to, or if something has happened."""
        now = time.monotonic()
        if now < self._events_next:
            return
        self._events_next = now + EVENTS_EVERY
        happened = self._count_events(flight)
        if now >= self._next or happened:
            began = time.process_time()
            self.judge(flight)
            cost = time.process_time() - began
            self._next = time.monotonic() + max(JUDGE_EVERY, cost / JUDGING_SHARE)

    def _count_events(self, flight: Flying) -> bool:
        count = 0
        for path in flight.recordings:
            with contextlib.suppress(sqlite3.Error), contextlib.closing(_opened(path)) as database:
                count += database.execute("SELECT count(*) FROM event").fetchone()[0]
        before, self._events = self._events, count
        return count > before

    def judge(self, flight: Flying) -> None:
        """Judge now."""
        found = diagnosis_of(flight.recordings, self._settings)
        for each in found.findings if found is not None else ():
            key = each.rule, each.subject
            if each.severity is Severity.INFO or key in self._told:
                continue
            self._told.add(key)
            if not self._quiet:
                _say(f"{each.rule} [{each.severity}] {each.message}")
            if each.rule in self._stop_on and self.stopped_by is None:
                self.stopped_by = each
                _say(f"{each.rule} ends the training at its next step, as --stop-on asks")
                flight.stop()


def run(
    program: Program,
    args: Sequence[str],
    settings: Settings,
    *,
    overhead: float,
    max_bytes: int,
    recording: Path | None,
    stop_on: Collection[str],
    keep_batches: bool,
    quiet: bool,
    report_now: Path | None,
) -> tuple[Flown, Diagnosis | None]:
    """Run the program to its end and judge what was recorded; None where no optimizer made a step.

    ``overhead``: a share of the time. ``stop_on``: codes of rules whose findings end the training. ``keep_batches``:
    the black box holds the batch itself.
    """
    root = Path(settings.root).resolve()
    path = recording or new_recording(root, program.path)
    make_way(path)
    rank = own_rank()
    quiet = quiet or bool(rank)  # of several ranks the first one speaks
    live = Live(settings, stop_on, quiet)
    if not quiet:
        _say(f"recording to {_shown(path, root)}; kill -USR1 {os.getpid()} writes a report of it while it runs")
    look = live.look if stop_on or not quiet else lambda _flying: None
    flight = Flight(look, lambda flying: write_report(flying, settings, report_now))
    flown = flight.fly(program, args, recording=path, overhead=overhead, max_bytes=max_bytes, keep_batches=keep_batches)
    for each in flown.recordings:
        amend(each, **_ended(flown, live, each))
    if rank:
        return flown, None
    found = _of_all_ranks(flown, flight.launch, OTHERS_SECONDS) if rank is not None else flown.recordings
    for group in launches(flights_at(found)):
        if group.world > 1:
            amend(group.lead.path, **together(group))  # so that it tells so by itself later
    return flown, diagnosis_of(found, settings)


def diagnosis_of(found: Sequence[Path], settings: Settings) -> Diagnosis | None:
    """The diagnosis of a recording, or of the recordings of all ranks together; None where there are none.

    Of several trainings, one after another or in processes of their own, the one with most errors; the notes name the
    others.
    """
    flown = launches(flights_at(found))
    if len(flown) == 1:
        return _judged(flown[0], settings)
    judged = [(each, one) for each in flown if (one := _judged(each, settings)) is not None]
    if not judged:
        return None
    # max gives the first of equals: what went wrong first may have spoilt what came after.
    worst, told = max(judged, key=lambda each: _weight(each[1]))
    number = flown.index(worst) + 1
    others = ", ".join(str(each.lead.path.name) for each in flown if each is not worst)
    note = f"{len(flown)} trainings of this run were recorded; this is number {number}; the others: {others}"
    return replace(told, run=replace(told.run, notes=(*told.run.notes, note)))


def _judged(launch: Launch, settings: Settings) -> Diagnosis | None:
    try:
        return rediagnose(launch.lead.path, settings, facts=together(launch))
    except ValueError:
        return None


def _weight(one: Diagnosis) -> tuple[int, int]:
    """How much there is to tell."""
    grades = [each.severity for each in one.findings]
    return grades.count(Severity.ERROR), grades.count(Severity.WARNING)


def _of_all_ranks(flown: Flown, launch: str, seconds: float) -> list[Path]:
    """The recordings of this run; where each rank has a parent of its own, those of the others as well.

    They are waited for: the others end when we do, or a little later.
    """
    until = time.monotonic() + seconds
    own = list(flown.recordings)
    while own:
        beside = {each.path for each in flights_at({each.parent for each in own}) if each.run.get("launch") == launch}
        known = [each for path in {*own, *beside} if (each := flight_at(path)) is not None]
        world = max((int(each.run.get("world") or 1) for each in known), default=1)
        if sum("exit_code" in each.run for each in known) >= world or time.monotonic() > until:
            return [each.path for each in known]
        time.sleep(0.1)
    return own


def exit_code(flown: Flown) -> int:
    """The program's own as a shell gives it, 128 and more for a signal."""
    return flown.code if flown.code >= 0 else 128 - flown.code


def _ended(flown: Flown, live: Live, recording: Path) -> dict[str, object]:
    code = flown.code
    if _run_of(recording).get("followed"):
        return {"exit_code": 0}  # the program went on, with another training
    facts: dict[str, object] = {"exit_code": code}
    if live.stopped_by is not None:
        facts["ended_by"] = f"--stop-on {live.stopped_by.rule}"
    elif code > 0:
        facts["ended_by"] = f"exit code {code}"
    elif code:
        facts["ended_by"] = f"signal {-code} ({_words(flown)})"
    return facts | _as_logged(flown, recording)


def _as_logged(flown: Flown, recording: Path) -> dict[str, object]:
    """What the process itself could not tell of its end, in the words of a log: killed, or left with a code."""
    known = _run_of(recording).get("log_facts") or {}
    if flown.code == 0 or "exception" in known or flown.stopped:
        return {}
    return {"log_facts": known | _told(flown), "reason": f"{_words(flown)} before anything was written"}


def _run_of(recording: Path) -> dict[str, Any]:
    flight = flight_at(recording)
    return flight.run if flight is not None else {}


def _told(flown: Flown) -> dict[str, str]:
    if flown.code > 0:
        return {"exception": "SystemExit", "exception_message": f"exit code {flown.code}"}
    try:
        name = signal.Signals(-flown.code).name
    except ValueError:
        name = f"signal {-flown.code}"
    return {"exception": name, "exception_message": _words(flown)}


def _words(flown: Flown) -> str:
    """Why the program is gone that did not return."""
    if flown.code > 0:
        return f"exit code {flown.code}"
    if flown.memory_killed:
        return "memory ran out: the system killed it"
    if -flown.code == signal.SIGKILL:
        return "killed from outside, most likely because memory ran out"
    return signal_in_words(-flown.code)


def write_report(flight: Flying, settings: Settings, path: Path | None) -> None:
    """The HTML report of what is recorded until now."""
    found = diagnosis_of(flight.recordings, settings)
    if found is None or found.target.outcome is Outcome.NOT or path is None:
        _say("no report: no step is recorded yet" if path is not None else "no report: --html says where none goes")
        return
    from dnndoctor.reports.html import render
    from dnndoctor.workspace import write

    write(path, render(found, Path(settings.root), path.parent))
    _say(f"report of the run until now: {path}")


def _opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=0.2)


def _shown(path: Path, root: Path) -> str:
    full = path.absolute()
    return str(full.relative_to(root)) if full.is_relative_to(root) else str(path)


def _say(message: str) -> None:
    print(f"dnndoctor: {' '.join(message.split())}", file=sys.stderr, flush=True)
