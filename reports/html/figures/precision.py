"""Forward and backward as they are, in half precision, compiled, and with a thread for each core."""

from collections.abc import Iterator

from dnndoctor.measurements import Compilation, MixedPrecision, Threads
from dnndoctor.reports.html.figures.dots import Case, Point, plot
from dnndoctor.reports.html.figures.figure import Figure, Measurements, drawn, taken
from dnndoctor.reports.html.figures.workers import milliseconds
from dnndoctor.reports.words import figure as number

TITLE = "Forward and backward, otherwise"

Pair = tuple[str, float, float]  # what was changed, seconds without it and with it


def draw(measurements: Measurements, _flagged: frozenset[str]) -> Figure | None:
    """None where nothing of the kind was timed."""
    pairs = list(_pairs(measurements))
    if not pairs:
        return None
    cases = []
    for name, before, after in pairs:
        both = (milliseconds(before), milliseconds(after))
        points = (
            Point(both[0], f"as it is: {number(both[0])} ms"),
            Point(both[1], f"{name}: {number(both[1])} ms", "other"),
        )
        cases.append(Case(name, points, (min(both), max(both))))
    return drawn(
        "pass-time",
        TITLE,
        _caption(pairs),
        plot(cases, "milliseconds of a pass", (("own", "as it is"), ("other", "with the change")), log=True),
        ("change", "ms as it is", "ms with it", "times as fast"),
        (
            (name, number(milliseconds(a)), number(milliseconds(b)), number(round(a / b, 2)) if b > 0 else "-")
            for name, a, b in pairs
        ),
        {"hardware"},
        {MixedPrecision, Compilation, Threads},
        section="time",
    )


def _pairs(measurements: Measurements) -> Iterator[Pair]:
    mixed, compiled = taken(measurements, MixedPrecision), taken(measurements, Compilation)
    threads = taken(measurements, Threads)
    if mixed and mixed.seconds and mixed.mixed_seconds:
        yield f"autocast to {mixed.kind or 'half precision'}", mixed.seconds, mixed.mixed_seconds
    if compiled and compiled.seconds and compiled.compiled_seconds:
        yield "compiled", compiled.seconds, compiled.compiled_seconds
    if threads and threads.pass_seconds and threads.pass_seconds_at_cpus:
        yield f"{threads.cpus} threads, not {threads.threads}", threads.pass_seconds, threads.pass_seconds_at_cpus


def _caption(pairs: list[Pair]) -> str:
    words = []
    for name, before, after in pairs:
        times = before / after
        how = (
            f"{number(round(times, 2))} times as fast" if times >= 1 else f"{number(round(1 / times, 2))} times slower"
        )
        words.append(f"{name}: {how}")
    text = "; ".join(words)
    return f"{text[:1].upper()}{text[1:]}."
