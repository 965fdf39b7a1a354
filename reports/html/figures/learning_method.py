"""The user's optimizer against others, each at its best rate, from one start on the same batches."""

import math
from statistics import median

import numpy as np

from dnndoctor.measurements import LearningMethods, MethodRun
from dnndoctor.reports.html.figures.figure import Figure, Measurements, drawn, taken
from dnndoctor.reports.html.figures.lines import Curve, Panel, ceiling, stacked
from dnndoctor.reports.words import figure as number

TITLE = "Learning methods side by side"


def draw(measurements: Measurements, _flagged: frozenset[str]) -> Figure | None:
    """None where no methods were compared."""
    methods = taken(measurements, LearningMethods)
    if methods is None or not any(len(curve) for each in methods.methods for curve in each.curves):
        return None
    ranked = sorted(methods.methods, key=_score)
    return drawn(
        "learning-method",
        TITLE,
        _caption(methods),
        stacked([_panel(methods)], "step"),
        ("method", "learning rate", f"loss after {methods.steps} steps", "lowest seed", "highest seed"),
        ((_name(each), number(each.rate), *_scores(each)) for each in ranked),
        {"learning-method"},
        {LearningMethods},
    )


def _score(run: MethodRun) -> float:
    usable = [each for each in run.scores if not math.isnan(each)]
    return median(usable) if usable else math.inf


def _scores(run: MethodRun) -> tuple[str, str, str]:
    values = (_score(run), min(run.scores, default=math.nan), max(run.scores, default=math.nan))
    low, middle, high = (number(v) if math.isfinite(v) else "diverged" for v in (values[1], values[0], values[2]))
    return middle, low, high


def _name(run: MethodRun) -> str:
    return f"{run.name} (yours)" if run.own else run.name


def _caption(methods: LearningMethods) -> str:
    user = methods.user
    best = min(methods.methods, key=_score)
    if not math.isfinite(_score(best)):
        return f"Every method diverges within {methods.steps} steps."
    own = f"yours, {user.name} at {number(user.rate)}, "
    own += f"ends at {number(_score(user))}" if math.isfinite(_score(user)) else "diverges"
    if best is user:
        return f"None ends lower after {methods.steps} steps: {own}."
    return (
        f"{best.name} at {number(best.rate)} ends lowest, at {number(_score(best))} after {methods.steps} steps; {own}."
    )


def _panel(methods: LearningMethods) -> Panel:
    user = methods.user
    others = sorted((each for each in methods.methods if each is not user), key=_score)
    kinds = {id(each): kind for each, kind in zip(others, ("other", "third"), strict=False)}
    curves = [_curve(each, kinds.get(id(each), "quiet")) for each in reversed(others)]
    curves.append(_curve(user, "own"))
    starts = [float(curve[0]) for each in methods.methods for curve in each.curves if len(curve)]
    values = [v for each in curves for v in each.y]
    head = ceiling(float(np.median(starts)), values) if starts else None
    return Panel("loss: median seed, lowest to highest", tuple(curves[::-1]), ceiling=head)


def _curve(run: MethodRun, kind: str) -> Curve:
    """Median, lowest and highest over the seeds; where one diverged the rest go on."""
    length = max((len(each) for each in run.curves), default=0)
    table = np.full((max(len(run.curves), 1), max(length, 1)), np.nan)
    for row, each in enumerate(run.curves):
        table[row, : len(each)] = np.where(np.isfinite(each), each, np.nan)
    steps = [i for i in range(length) if np.isfinite(table[:, i]).any()]
    middle, low, high = ([float(reduce(table[:, i])) for i in steps] for reduce in (np.nanmedian, np.nanmin, np.nanmax))
    name = f"{_name(run)} at {number(run.rate)}"
    if kind == "quiet":
        return Curve(name, [float(i) for i in steps], middle, kind, dots=False)
    return Curve(name, [float(i) for i in steps], middle, kind, low, high, dots=False)
