"""What comes out of each activation function: its level and spread, and the share that is of no use."""

import math
from dataclasses import dataclass

from dnndoctor.measurements import Activation, Activations
from dnndoctor.reports.html.figures import rows
from dnndoctor.reports.html.figures.chart import Scale, brief, chosen, cross, dot, drawing, finite, line, text, x_axis
from dnndoctor.reports.html.figures.figure import Figure, Measurements, highlighted, taken
from dnndoctor.reports.words import figure as number

TITLE = "Activations by layer"
SPLIT = 372  # where the left panel ends
GAP = 30


@dataclass(frozen=True, slots=True)
class Drawn:
    """One activation at the first and at the last watched step; ``share``: saturated entries or dead units."""

    name: str
    function: str
    mean: float
    std: float
    first_share: float
    share: float
    fault: str
    flagged: bool


def draw(measurements: Measurements, flagged: frozenset[str]) -> Figure | None:
    """None where no hidden activation was watched."""
    activations = taken(measurements, Activations)
    found = [_row(each, flagged) for each in activations.hidden()] if activations else []
    if not found:
        return None
    drawn = [found[i] for i in chosen(len(found), [i for i, each in enumerate(found) if each.flagged])]
    caption = _caption(found) + rows.left_out(len(drawn), len(found))
    return Figure(
        "figure-activations",
        TITLE,
        caption,
        drawing("figure-activations", rows.height(len(drawn)), TITLE, caption, _body(drawn)),
        ("activation", "function", "mean", "std", "lost at first, %", "lost at last, %"),
        tuple(_figures(each) for each in found),
        frozenset({"activation-functions"}),
        frozenset({Activations}),
    )


def _row(site: Activation, flagged: frozenset[str]) -> Drawn:
    first, last = site.history[0], site.history[-1]
    marked = highlighted(site.name, flagged) or bool(site.layer and highlighted(site.layer, flagged))
    saturated = last.saturated_share >= last.dead_share
    shares = (first.saturated_share, last.saturated_share) if saturated else (first.dead_share, last.dead_share)
    return Drawn(
        site.name,
        site.function,
        float(last.mean),
        float(last.std),
        float(shares[0]),
        float(shares[1]),
        "saturated" if saturated else "dead",
        marked,
    )


def _figures(each: Drawn) -> tuple[str, ...]:
    numbers = (each.mean, each.std, 100 * each.first_share, 100 * each.share)
    return (each.name, each.function, *(brief(v) for v in numbers))


def _caption(found: list[Drawn]) -> str:
    worst = max(found, key=lambda each: each.share if math.isfinite(each.share) else 0.0)
    if not worst.share > 0.005:
        return "No layer has saturated or dead units to speak of."
    what = "of the outputs are saturated" if worst.fault == "saturated" else "of the units are dead"
    return f"Most is lost in {worst.name}: {worst.share:.0%} {what}."


def _body(drawn: list[Drawn]) -> list[str]:
    bottom = rows.bottom(len(drawn))
    ends = finite(value for each in drawn for value in (each.mean - each.std, each.mean + each.std))
    level = Scale.fit(ends, rows.LEFT, SPLIT)
    share = Scale(0.0, 100.0, SPLIT + GAP, rows.RIGHT)
    body = [
        text("dot: mean, line: one standard deviation", 8, 16, "label"),
        text("ring: first step, dot: last", rows.RIGHT, 16, "label", "end"),
        x_axis(level, bottom, "output", rows.TOP),
        x_axis(share, bottom, "saturated or dead, %", rows.TOP),
        *rows.names([each.name for each in drawn], [each.flagged for each in drawn]),
    ]
    for row, each in enumerate(drawn):
        body += _marks(each, rows.middle(row), level, share)
    return body


def _marks(each: Drawn, y: float, level: Scale, share: Scale) -> list[str]:
    kind = " flagged" if each.flagged else ""
    hint = f"{each.name} ({each.function}): mean {number(each.mean)}, std {number(each.std)}"
    lost = f"{each.name}: {number(round(100 * each.share, 1))} % {each.fault}" if math.isfinite(each.share) else ""
    if not (math.isfinite(each.mean) and math.isfinite(each.std)):
        return [cross(level.start, y, hint), dot(share(100 * each.share), y, lost, f"dot{kind}")]
    return [
        line(level(each.mean - each.std), y, level(each.mean + each.std), y, f"range{kind}"),
        dot(level(each.mean), y, hint, f"dot{kind}"),
        dot(share(100 * each.first_share), y, f"{each.name} at the first step", "ring"),
        dot(share(100 * each.share), y, lost, f"dot{kind}"),
    ]
