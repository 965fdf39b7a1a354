"""Layers with odd sizes, timed as they are and rounded up."""

from dnndoctor.measurements import PaddedLayer, Padding, Timed
from dnndoctor.reports.html.figures.dots import Case, Point, plot
from dnndoctor.reports.html.figures.figure import Figure, Measurements, drawn, highlighted, taken
from dnndoctor.reports.html.figures.workers import milliseconds
from dnndoctor.reports.words import figure as number

TITLE = "Odd sizes and rounded ones"


def draw(measurements: Measurements, flagged: frozenset[str]) -> Figure | None:
    """None where no heavy layer has an odd size."""
    padding = taken(measurements, Padding)
    if padding is None or not padding.layers:
        return None
    cases = []
    for each in padding.layers:
        cases.append(_case(each.layer, each.own, "own", highlighted(each.layer, flagged)))
        cases += [_case("", one, "other", False) for one in each.padded]
    return drawn(
        "padded-dimensions",
        TITLE,
        _caption(padding),
        plot(
            cases,
            "ms, forward and backward",
            (("own", "as it is"), ("other", "rounded up"), ("", "one dot per repeat")),
            log=True,
        ),
        ("layer", "inputs", "outputs", "median ms", "share of the work"),
        (
            (
                each.layer,
                number(one.inputs),
                number(one.outputs),
                number(milliseconds(one.typical)),
                f"{each.share:.0%}",
            )
            for each in padding.layers
            for one in (each.own, *each.padded)
        ),
        {"power-of-two-dimensions"},
        {Padding},
        section="time",
    )


def _case(layer: str, one: Timed, kind: str, flagged: bool) -> Case:
    size = f"{one.inputs} x {one.outputs}"
    times = [milliseconds(each) for each in one.seconds]
    points = tuple(Point(each, f"{layer or 'rounded'} {size}: {number(each)} ms", kind) for each in times)
    return Case(f"{layer} {size}".strip(), points, (min(times), max(times)), flagged)


def _caption(padding: Padding) -> str:
    best: PaddedLayer = max(padding.layers, key=padding.gain)
    gain = padding.gain(best)
    if gain <= 1:
        return "Rounding the sizes up makes no layer surely faster on this machine."
    rounded = best.best or best.own
    step = f"; a whole step would run {number(round(padding.step_gain, 2))} times as fast"
    sizes = f"{rounded.inputs} x {rounded.outputs}"
    return f"At {sizes} {best.layer} runs {number(round(gain, 2))} times as fast{step}."
