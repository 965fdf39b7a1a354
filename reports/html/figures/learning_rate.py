"""Loss after equal steps against the learning rate, with the user's own."""

import math

from dnndoctor.measurements import LearningRateSweep
from dnndoctor.reports.html.figures.chart import (
    WIDTH,
    Scale,
    band,
    cross,
    dot,
    drawing,
    finite,
    flag,
    line,
    polyline,
    runs,
    text,
    x_axis,
    y_axis,
)
from dnndoctor.reports.html.figures.figure import Figure, Measurements, taken
from dnndoctor.reports.words import figure as number

TITLE = "Loss against learning rate"
LEFT, RIGHT, TOP, BOTTOM, HEIGHT = 64, WIDTH - 20, 30, 262, 310


def draw(measurements: Measurements, _flagged: frozenset[str]) -> Figure | None:
    """None where no sweep was made."""
    sweep = taken(measurements, LearningRateSweep)
    if sweep is None or not len(sweep.rates):
        return None
    caption = _caption(sweep)
    return Figure(
        "figure-learning-rate",
        TITLE,
        caption,
        drawing("figure-learning-rate", HEIGHT, TITLE, caption, _body(sweep)),
        ("learning rate", f"loss after {_steps(sweep)} steps"),
        tuple((number(rate), _score(score)) for rate, score in zip(sweep.rates, sweep.scores, strict=True)),
        frozenset({"learning-rate"}),
        frozenset({LearningRateSweep}),
    )


def _caption(sweep: LearningRateSweep) -> str:
    own = f"Yours, {number(sweep.user_rate)}, "
    own += f"ends at {number(sweep.user_score)}" if math.isfinite(sweep.user_score) else "diverges or gets nowhere"
    best = f"the best, {number(sweep.best_rate)}, at {number(sweep.best_score)}"
    edge = f" Training diverges from {number(sweep.diverging_rate)} on." if sweep.diverging_rate is not None else ""
    went_on = _steps(sweep) < sweep.steps
    drawn = f" Drawn is the loss after {_steps(sweep)} steps, where every rate was tried." if went_on else ""
    return f"{own}; {best}, after the same {sweep.steps} steps.{edge}{drawn}"


def _steps(sweep: LearningRateSweep) -> int:
    return sweep.score_steps or sweep.steps


def _score(score: float) -> str:
    return "dropped early" if math.isnan(score) else "diverged" if math.isinf(score) else number(score)


def _body(sweep: LearningRateSweep) -> list[str]:
    rates = [float(each) for each in sweep.rates]
    scores = [float(each) for each in sweep.scores]
    x = Scale.fit([*rates, sweep.user_rate], LEFT, RIGHT, log=True)
    y = Scale.fit(_shown(sweep, scores), BOTTOM, TOP + 24)
    low, high = sweep.usable
    middle = max((x(low) + x(high)) / 2, LEFT + 110)  # clear of the axis's label
    body = [band(x(low), TOP, x(high), BOTTOM), text("usable", middle, TOP - 8, "note", "middle")]
    if sweep.diverging_rate is not None:
        edge = x(sweep.diverging_rate)
        body.append(band(edge, TOP, RIGHT, BOTTOM, "danger"))
        if middle < RIGHT - 90:
            body.append(text("diverges", RIGHT, TOP - 8, "danger-text", "end"))
    body += [
        x_axis(x, BOTTOM, "learning rate (logarithmic)"),
        y_axis(y, LEFT, RIGHT, f"loss after {_steps(sweep)} steps"),
    ]
    if math.isfinite(sweep.start):
        body.append(line(LEFT, y(sweep.start), RIGHT, y(sweep.start), "reference"))
        free = x(sweep.user_rate) > (LEFT + RIGHT) / 2  # the half that the user's flag leaves
        at, anchor = (LEFT + 6, "start") if free else (RIGHT - 6, "end")
        body.append(text("loss at the start", at, y(sweep.start) - 6, "note", anchor))
    body += [polyline([(x(a), y(b)) for a, b in stretch]) for stretch in runs(rates, scores)]
    for rate, score in zip(rates, scores, strict=True):
        hint = f"rate {number(rate)}: {_score(score)}"
        mark = dot(x(rate), y(score), hint) if math.isfinite(score) else cross(x(rate), TOP + 24, hint)
        body.append(mark)
    return [*body, flag(x(sweep.user_rate), TOP, BOTTOM, f"yours {number(sweep.user_rate)}")]


def _shown(sweep: LearningRateSweep, scores: list[float]) -> list[float]:
    """Losses that set the scale: one trial that ran away must not flatten the others to a line."""
    usable = finite([*scores, sweep.start])
    if not usable or not math.isfinite(sweep.start):
        return usable
    best = min(usable)
    ceiling = sweep.start + 0.6 * abs(sweep.start - best)
    return [min(each, ceiling) for each in usable]
