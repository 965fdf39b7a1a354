"""The size of the gradient in each layer's weights."""

import math
from collections.abc import Sequence

import numpy as np

from dnndoctor.measurements import Gradients, ParameterGradient, Weights
from dnndoctor.reports.html.figures import rows
from dnndoctor.reports.html.figures.chart import Scale, brief, chosen, cross, dot, drawing, finite, line, text, x_axis
from dnndoctor.reports.html.figures.figure import Figure, Measurements, highlighted, taken
from dnndoctor.reports.words import figure as number

TITLE = "Gradient flow by layer"


def draw(measurements: Measurements, flagged: frozenset[str]) -> Figure | None:
    """None where no gradient was watched."""
    gradients, weights = taken(measurements, Gradients), taken(measurements, Weights)
    shown = of_weights(gradients, weights) if gradients else ()
    if not shown:
        return None
    spans = [_span(each) for each in shown]
    marked = [highlighted(each.name, flagged) for each in shown]
    drawn = chosen(len(shown), [i for i, each in enumerate(marked) if each])
    caption = _caption(shown, spans) + rows.left_out(len(drawn), len(shown))
    body = _body([shown[i].name for i in drawn], [spans[i] for i in drawn], [marked[i] for i in drawn])
    return Figure(
        "figure-gradient-flow",
        TITLE,
        caption,
        drawing("figure-gradient-flow", rows.height(len(drawn)), TITLE, caption, body),
        ("parameter", "smallest", "median", "largest"),
        tuple((each.name, *(number(v) for v in span)) for each, span in zip(shown, spans, strict=True)),
        frozenset({"gradients", "activation-functions"}),
        frozenset({Gradients}),
    )


def of_weights(gradients: Gradients, weights: Weights | None) -> tuple[ParameterGradient, ...]:
    """Weight matrices only, where kinds are known: biases and norms have gradients of another scale."""
    kinds = {each.name: each.kind for each in weights.parameters} if weights else {}
    matrices = ("weight", "embedding", "recurrent")
    chosen_ones = tuple(each for each in gradients.by_parameter if kinds.get(each.name, "weight") in matrices)
    return chosen_ones or gradients.by_parameter


def _span(gradient: ParameterGradient) -> tuple[float, float, float]:
    """Smallest, median and largest over the steps; NaN where none was finite."""
    usable = [float(each) for each in gradient.rms if math.isfinite(each)]
    if not usable:
        return math.nan, math.nan, math.nan
    return min(usable), float(np.median(usable)), max(usable)


def _caption(shown: Sequence[ParameterGradient], spans: Sequence[tuple[float, float, float]]) -> str:
    silent = [each.name for each, span in zip(shown, spans, strict=True) if not span[1] > 0]
    if silent:
        return f"No gradient reaches {len(silent)} of {len(shown)} weights, {silent[0]} first."
    first, last = spans[0][1], spans[-1][1]
    factor = max(first, last) / min(first, last)
    if len(shown) == 1 or not math.isfinite(factor):
        return f"The gradient's root mean square is {number(first)} in {shown[0].name}."
    way = "smaller" if first < last else "larger"
    return f"The gradient is {brief(factor, 2)} times {way} in the first layer than in the last."


def _body(names: list[str], spans: list[tuple[float, float, float]], marked: list[bool]) -> list[str]:
    bottom = rows.bottom(len(names))
    x = Scale.fit(finite((v for span in spans for v in span), log=True), rows.LEFT, rows.RIGHT, log=True)
    body = [
        text("input at the top; dot: median over the steps, line: smallest to largest", 8, 16, "label"),
        x_axis(x, bottom, "root mean square of the gradient (logarithmic)", rows.TOP),
        *rows.names(names, marked),
    ]
    for row, (name, (low, middle, high), flag) in enumerate(zip(names, spans, marked, strict=True)):
        y = rows.middle(row)
        if not middle > 0:
            body.append(cross(rows.LEFT, y, f"{name}: no gradient"))
            continue
        kind = "flagged" if flag else ""
        body.append(line(x(max(low, x.low)), y, x(high), y, f"range {kind}".strip()))
        body.append(dot(x(middle), y, f"{name}: {number(middle)}", f"dot {kind}".strip()))
    return body
