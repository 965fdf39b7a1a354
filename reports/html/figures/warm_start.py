"""Held-out loss from scratch and after learning from the inputs alone."""

from dnndoctor.measurements import WarmStart
from dnndoctor.measurements.growth import sure
from dnndoctor.reports.html.figures.chart import apart, gains
from dnndoctor.reports.html.figures.dots import Case, Point, plot
from dnndoctor.reports.html.figures.figure import Figure, Measurements, drawn, taken
from dnndoctor.reports.words import figure as number

TITLE = "A warm start from the inputs alone"
ERRORS = 2.0  # standard errors that a gain has to stand clear of


def draw(measurements: Measurements, _flagged: frozenset[str]) -> Figure | None:
    """None where it was not tried."""
    tried = taken(measurements, WarmStart)
    if tried is None or not len(tried.scratch) or not len(tried.warm):
        return None
    scratch, warm = [float(v) for v in tried.scratch], [float(v) for v in tried.warm]
    cases = [
        Case(name, tuple(Point(v, f"{name}: {number(v)}", kind) for v in values), (min(values), max(values)))
        for name, values, kind in (("from scratch", scratch, "own"), ("after a warm start", warm, "other"))
    ]
    return drawn(
        "pretraining",
        TITLE,
        _caption(tried),
        plot(cases, "lowest held-out loss", f"dots: one per split, {tried.steps} steps, {tried.samples} samples"),
        ("split", "from scratch", "after a warm start"),
        ((number(i + 1), number(a), number(b)) for i, (a, b) in enumerate(zip(scratch, warm, strict=False))),
        {"pretraining"},
        {WarmStart},
    )


def _caption(tried: WarmStart) -> str:
    scratch, warm = apart(float(tried.scratch.mean()), float(tried.warm.mean()))
    if len(tried.scratch) != len(tried.warm) or not sure(gains(tried.scratch, tried.warm), ERRORS):
        return f"Learning from the inputs first does not surely help: the held-out loss goes from {scratch} to {warm}."
    start = f"{number(tried.start)} before any step"
    return f"Learning from the inputs first takes the held-out loss from {scratch} to {warm}, from {start}."
