"""Which samples' outputs change when one sample of the batch is another one: a matrix that should be diagonal."""

from dnndoctor.measurements import Dependence, Mixing
from dnndoctor.reports.html.figures.chart import WIDTH, brief, tag, text
from dnndoctor.reports.html.figures.figure import Figure, Measurements, drawn, taken
from dnndoctor.reports.words import figure as number
from dnndoctor.reports.words import plural

TITLE = "What one sample's input changes"
LEFT, RIGHT, TOP, CELL = 120, WIDTH - 20, 34, 26


def draw(measurements: Measurements, _flagged: frozenset[str]) -> Figure | None:
    """None where no samples were exchanged."""
    dependence = taken(measurements, Dependence)
    shown = [each for each in dependence.mixings if each.changes] if dependence else []
    if not shown:
        return None
    worst = max(shown, key=lambda each: each.others)
    return drawn(
        "entry-mixing",
        TITLE,
        _caption(worst),
        _matrix(worst),
        ("exchanged sample", "sample", "change of its output, of the exchanged one's"),
        (
            (number(sample), number(other), number(share))
            for sample, shares in worst.changes
            for other, share in enumerate(shares)
            if share > 0
        ),
        {"training-loop", "loss", "training-data"},
        {Dependence},
        section="data",
    )


def _caption(mixing: Mixing) -> str:
    if not mixing.others:
        return (
            f"Each of {mixing.tried} exchanged samples of {mixing.entries} changes its own output alone, as it should."
        )
    size = f"by up to {brief(mixing.effect, 2)} of its own change"
    return f"One sample's input changes the outputs of {plural(mixing.others, 'other')} of {mixing.entries}, {size}."


def _matrix(mixing: Mixing) -> tuple[list[str], float]:
    """A row per exchanged sample, a column per sample."""
    columns = max(len(shares) for _, shares in mixing.changes)
    width = min((RIGHT - LEFT) / columns, float(CELL))
    body = [
        text("row: the sample that was exchanged; filled: whose output changed", 8, 16, "label"),
    ]
    for row, (sample, shares) in enumerate(mixing.changes):
        y = TOP + row * CELL
        body.append(text(f"sample {sample}", LEFT - 10, y + 17, "row-name", "end"))
        for other, share in enumerate(shares):
            kind = "cell" if not share > 0 else "cell own" if other == sample else "cell flagged"
            hint = f"sample {sample} exchanged: output of sample {other} changes by {number(share)}"
            x = round(LEFT + other * width, 2)
            body.append(tag("rect", tag("title", hint), x=x, y=y, width=round(width, 2), height=CELL, class_=kind))
    bottom = TOP + len(mixing.changes) * CELL
    stride = max(1, round(34 / width))
    body += [
        text(number(i), round(LEFT + (i + 0.5) * width, 1), bottom + 18, "tick", "middle")
        for i in range(0, columns, stride)
    ]
    body.append(text("sample of the batch", (LEFT + LEFT + columns * width) / 2, bottom + 38, "label", "middle"))
    return body, float(bottom + 48)
