"""Where one step of the loop goes, as one bar."""

from dnndoctor.measurements import StepTime
from dnndoctor.reports.html.figures.chart import brief, tag, text
from dnndoctor.reports.html.figures.figure import Figure, Measurements, drawn, taken

TITLE = "One step"
WIDE = 900
LEFT, RIGHT, TOP, BAR, ROW = 8, WIDE - 8, 12, 40, 24
PARTS = (
    ("waiting for data", "wait", "other"),
    ("forward", "forward", "own"),
    ("backward", "backward", "third"),
    ("optimizer and the rest of the loop", "rest", "quiet"),
)


def draw(measurements: Measurements, _flagged: frozenset[str]) -> Figure | None:
    """None where the steps were not timed."""
    timed = taken(measurements, StepTime)
    if timed is None or not timed.whole > 0:
        return None
    parts = _parts(timed)
    return drawn(
        "step-time",
        TITLE,
        _caption(timed, parts),
        _bar(parts, timed.whole),
        ("part", "ms", "share"),
        ((name, _milliseconds(seconds), f"{seconds / timed.whole:.1%}") for name, seconds, _ in parts),
        {"hardware", "batch-size", "training-loop"},
        {StepTime},
        section="time",
        width=WIDE,
    )


def _parts(timed: StepTime) -> list[tuple[str, float, str]]:
    if not timed.clean:
        return [("waiting for data", timed.wait, "other"), ("computing, while watched", timed.rest, "own")]
    return [(name, float(getattr(timed, key)), kind) for name, key, kind in PARTS]


def _milliseconds(seconds: float) -> str:
    return brief(1000 * seconds)


def _caption(timed: StepTime, parts: list[tuple[str, float, str]]) -> str:
    name, seconds, _ = max(parts, key=lambda each: each[1])
    part = f"{_most(seconds, timed.whole)} {name}: {seconds / timed.whole:.0%}"
    most = f"A step takes {_milliseconds(timed.whole)} ms, {part}."
    if not timed.clean:
        return f"{most} Watching is part of it; how forward and backward share it was not timed."
    if timed.wait > 0:
        return f"{most} Waiting was timed in the watched steps, the rest while nothing was watched."
    return f"{most} Timed while nothing was watched."


def _most(seconds: float, whole: float) -> str:
    return "most of it" if seconds > whole / 2 else "the largest part"


def _bar(parts: list[tuple[str, float, str]], whole: float) -> tuple[list[str], float]:
    body, at = [], float(LEFT)
    for row, (name, seconds, kind) in enumerate(parts):
        width = (RIGHT - LEFT) * seconds / whole
        share = f"{seconds / whole:.0%}" if seconds >= whole / 100 or not seconds else "under 1%"
        words = f"{name}: {_milliseconds(seconds)} ms, {share}"
        if width > 0:
            hint = tag("title", words)
            body.append(
                tag("rect", hint, x=round(at, 1), y=TOP, width=round(width, 1), height=BAR, class_=f"bar {kind}")
            )
        at += width
        y = TOP + BAR + 14 + row * ROW
        body.append(tag("rect", x=LEFT, y=y, width=14, height=14, class_=f"bar {kind}"))
        body.append(text(words, LEFT + 22, y + 12, "legend"))
    return body, float(TOP + BAR + 14 + len(parts) * ROW)
