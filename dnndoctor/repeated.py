"""Examines a program several times, with other random numbers each time."""

from __future__ import annotations

from collections.abc import Sequence

from dnndoctor.config import Settings
from dnndoctor.diagnosis import Diagnosis, Outcome
from dnndoctor.examination import OnProgress, examine
from dnndoctor.median import median, settled
from dnndoctor.subject.given import Given
from dnndoctor.subject.parent import NOTHING_GIVEN
from dnndoctor.subject.program import Program


def examine_repeatedly(
    program: Program,
    args: Sequence[str],
    settings: Settings,
    *,
    on_progress: OnProgress | None = None,
    given: Given = NOTHING_GIVEN,
) -> Diagnosis:
    """The median of ``settings.repeat`` examinations, each with the whole budget.

    No more are made than could change it. A program that cannot be examined is tried once.
    """
    runs: list[Diagnosis] = []
    repeat = settings.repeat
    while len(runs) < repeat:
        if on_progress:
            on_progress(f"run {len(runs) + 1} of {repeat}", 0, 0, settings.budget)
        run = examine(program, args, settings, on_progress=on_progress, given=given, seed_shift=len(runs))
        if _interrupted(run):
            return median(runs, repeat, interrupted=True) if runs else run
        runs.append(run)
        if len(runs) == 1 and run.target.outcome is Outcome.NOT:
            return run
        if settled(runs, repeat):
            break
    return median(runs, repeat)


def _interrupted(run: Diagnosis) -> bool:
    return (run.target.reason or "").startswith("interrupted")
