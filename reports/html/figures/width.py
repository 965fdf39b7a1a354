"""Training and held-out loss with hidden layers half and twice as wide."""

from dnndoctor.measurements import Width, Widths
from dnndoctor.reports.html.figures.chart import apart
from dnndoctor.reports.html.figures.dots import Case, Point, plot
from dnndoctor.reports.html.figures.figure import Figure, Measurements, drawn, taken
from dnndoctor.reports.words import figure as number
from dnndoctor.reports.words import plural

TITLE = "Narrower and wider"


def draw(measurements: Measurements, _flagged: frozenset[str]) -> Figure | None:
    """None where no other width was trained."""
    widths = taken(measurements, Widths)
    if widths is None or not widths.tried:
        return None
    tried = sorted(widths.tried, key=lambda each: each.factor)
    return drawn(
        "width",
        TITLE,
        _caption(widths),
        plot(
            [_case(each) for each in tried],
            f"loss after {widths.steps} steps",
            (("own", "training"), ("other", "held out")),
        ),
        ("hidden width", "parameters", "training loss", "held-out loss"),
        (
            (_name(each), number(each.parameters), number(_mean(each, True)), number(_mean(each, False)))
            for each in tried
        ),
        {"capacity", "regularization"},
        {Widths},
    )


def _name(width: Width) -> str:
    return "as it is" if width.factor == 1 else f"{number(width.factor)} times as wide"


def _mean(width: Width, training: bool) -> float:
    losses = width.training_loss if training else width.held_out_loss
    return float(losses.mean()) if len(losses) else float("nan")


def _case(width: Width) -> Case:
    points = [Point(float(v), f"{_name(width)}: training {number(float(v))}") for v in width.training_loss]
    points += [Point(float(v), f"{_name(width)}: held out {number(float(v))}", "other") for v in width.held_out_loss]
    return Case(_name(width), tuple(points))


def _caption(widths: Widths) -> str:
    best = min(widths.tried, key=lambda each: _mean(each, False))
    own = widths.at(1.0)
    after = f"after {plural(widths.steps, 'step')}"
    if own is None or best is own:
        return f"No other width ends lower on held-out samples {after}."
    before, then = apart(_mean(own, False), _mean(best, False))
    clear = max(best.held_out_loss, default=0.0) < min(own.held_out_loss, default=0.0)
    seeds = "with every seed" if clear else "within the spread of the seeds"
    times = number(best.factor)
    return f"Hidden layers {times} times as wide take the held-out loss from {before} to {then} {after}, {seeds}."
