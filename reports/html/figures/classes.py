"""How many samples each class has."""

from dnndoctor.measurements import DataScan, SampleSet
from dnndoctor.reports.html.figures import rows
from dnndoctor.reports.html.figures.chart import Scale, band, brief, chosen, tag, text, x_axis
from dnndoctor.reports.html.figures.figure import Figure, Measurements, drawn, taken
from dnndoctor.reports.words import figure as number

TITLE = "Samples of each class"


def draw(measurements: Measurements, _flagged: frozenset[str]) -> Figure | None:
    """None where the training targets are no classes."""
    scan = taken(measurements, DataScan)
    training = scan.training if scan else None
    classes = list(training.targets.classes) if training and training.targets else []
    if training is None or len(classes) < 2:
        return None
    counts = [count for _, count in classes]
    extremes = [counts.index(min(counts)), counts.index(max(counts))]
    kept = chosen(len(classes), extremes)
    return drawn(
        "classes",
        TITLE,
        _caption(classes, training) + rows.left_out(len(kept), len(classes)),
        _bars([classes[i] for i in kept], max(counts)),
        ("class", "samples", "share"),
        ((number(value), number(count), f"{count / sum(counts):.1%}") for value, count in classes[:200]),
        {"training-data", "loss", "shuffling"},
        {DataScan},
        section="data",
    )


def _caption(classes: list[tuple[float, int]], training: SampleSet) -> str:
    least, most = min(classes, key=lambda each: each[1]), max(classes, key=lambda each: each[1])
    times = most[1] / max(least[1], 1)
    read = "" if training.length == training.scanned else f", of {number(training.scanned)} samples that were read"
    if times < 1.5:
        return f"The {len(classes)} classes are about even: {number(least[1])} to {number(most[1])} samples{read}."
    larger = f"Class {number(most[0])} has {number(most[1])} samples{read}"
    return f"{larger}, {brief(times, 2)} times as many as class {number(least[0])} with {number(least[1])}."


def _bars(shown: list[tuple[float, int]], largest: int) -> tuple[list[str], float]:
    bottom = rows.bottom(len(shown))
    x = Scale(0.0, max(float(largest), 1.0), rows.LEFT, rows.RIGHT - 30)
    body = [x_axis(x, bottom, "samples", rows.TOP)]
    for row, (value, count) in enumerate(shown):
        y = rows.middle(row)
        words = f"class {number(value)}: {number(count)} samples"
        body.append(text(f"class {number(value)}", rows.LEFT - 14, y + 4, "row-name", "end"))
        body.append(tag("g", tag("title", words), band(rows.LEFT, y - 8, x(count), y + 8, "bar")))
        body.append(text(number(count), x(count) + 6, y + 4, "tick"))
    return body, rows.height(len(shown))
