"""The loss step by step at the user's rate and at the best one, on the same batches."""

import math

from dnndoctor.measurements import LearningRateSweep
from dnndoctor.reports.html.figures.figure import Figure, Measurements, drawn, taken
from dnndoctor.reports.html.figures.lines import Curve, Panel, ceiling, few, stacked
from dnndoctor.reports.words import figure as number

TITLE = "Loss at your rate and at the best"


def draw(measurements: Measurements, _flagged: frozenset[str]) -> Figure | None:
    """None where the two are one, or their losses were not kept."""
    sweep = taken(measurements, LearningRateSweep)
    if sweep is None or sweep.best_rate == sweep.user_rate:
        return None
    curves = {float(rate): losses for rate, losses in zip(sweep.rates, sweep.curves, strict=False)}
    own, best = ([float(v) for v in curves.get(rate, ())] for rate in (sweep.user_rate, sweep.best_rate))
    if len(own) < 2 or len(best) < 2:
        return None
    lines = (_curve("yours", sweep.user_rate, own, "own"), _curve("the best", sweep.best_rate, best, "other"))
    start = best[0] if math.isfinite(best[0]) else sweep.start
    head = ceiling(start, [*own, *best])
    longest = max(len(own), len(best))
    return drawn(
        "rate-curves",
        TITLE,
        _caption(sweep),
        stacked([Panel("loss", lines, ceiling=head)], "step"),
        ("step", f"loss at {number(sweep.user_rate)}", f"loss at {number(sweep.best_rate)}"),
        ((number(i), _at(own, i), _at(best, i)) for i in few(longest, 40)),
        {"learning-rate"},
        {LearningRateSweep},
    )


def _curve(name: str, rate: float, losses: list[float], kind: str) -> Curve:
    return Curve(f"{name}, {number(rate)}", [float(i) for i in range(len(losses))], losses, kind, dots=False)


def _at(losses: list[float], step: int) -> str:
    return number(losses[step]) if step < len(losses) else ""


def _caption(sweep: LearningRateSweep) -> str:
    own = number(sweep.user_score) if math.isfinite(sweep.user_score) else "nowhere: it diverges"
    same = "on the same batches" if sweep.paired else "on batches of their own"
    return (
        f"After {sweep.steps} steps {same}, {number(sweep.best_rate)} has come to {number(sweep.best_score)} "
        f"and {number(sweep.user_rate)}, yours, to {own}."
    )
