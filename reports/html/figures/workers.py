"""What a batch takes with other numbers of workers, against what a step takes to compute."""

import math

from dnndoctor.measurements import Loading
from dnndoctor.reports.html.figures.dots import Case, Point, plot
from dnndoctor.reports.html.figures.figure import Figure, Measurements, drawn, taken
from dnndoctor.reports.words import figure as number
from dnndoctor.reports.words import plural

TITLE = "Loading against the number of workers"


def draw(measurements: Measurements, _flagged: frozenset[str]) -> Figure | None:
    """None where no other number was tried."""
    loading = taken(measurements, Loading)
    if loading is None or not loading.points:
        return None
    points = sorted(loading.points, key=lambda each: each.workers)
    step = milliseconds(loading.compute_seconds)
    cases = []
    if all(each.workers != loading.workers for each in points):
        wait = milliseconds(loading.wait_seconds)
        name = f"{plural(loading.workers, 'worker')} (yours)"
        cases.append(Case(name, (Point(wait, f"{name}: the loop waits {number(wait)} ms per batch"),)))
    for each in points:
        mine = each.workers == loading.workers
        took = milliseconds(each.batch_seconds)
        hint = f"{plural(each.workers, 'worker')}: {number(took)} ms per batch"
        name = plural(each.workers, "worker") + (" (yours)" if mine else "")
        cases.append(Case(name, (Point(took, hint, "own" if mine else "other"),)))
    levels = ((step, f"a step computes {number(step)} ms"),) if step > 0 else ()
    return drawn(
        "workers",
        TITLE,
        _caption(loading),
        plot(
            cases,
            "milliseconds per batch",
            (("own", "yours, as the loop waits"), ("other", "the loader alone")),
            log=True,
            references=levels,
        ),
        ("workers", "ms until the first batch", "ms per batch", "batches timed"),
        (
            (
                number(each.workers),
                number(milliseconds(each.start_seconds)),
                number(milliseconds(each.batch_seconds)),
                number(each.batches),
            )
            for each in points
        ),
        {"hardware"},
        {Loading},
        section="time",
    )


def milliseconds(seconds: float) -> float:
    """Three digits of it."""
    return float(f"{1000 * seconds:.3g}") if math.isfinite(seconds) else math.nan


def _caption(loading: Loading) -> str:
    waited = f"A step waits {loading.wait_share:.0%} of its time for data with {plural(loading.workers, 'worker')}."
    fastest = min(loading.points, key=lambda each: each.batch_seconds)
    timed = any(each.workers == loading.workers for each in loading.points)
    if fastest.workers == loading.workers or (not timed and loading.wait_seconds <= fastest.batch_seconds):
        return f"{waited} No other number of workers is faster."
    took = f"{number(milliseconds(fastest.batch_seconds))} ms per batch"
    return f"{waited} The loader alone is fastest with {fastest.workers}: {took}."
