"""Curves of two runs over each other."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from dnndoctor.comparison import Comparison
from dnndoctor.diagnosis import Diagnosis
from dnndoctor.measurements import Gradients, LearningRateSweep
from dnndoctor.reports.comparison import series
from dnndoctor.reports.comparison.series import Points
from dnndoctor.reports.html.figures.dots import Case, Point, plot
from dnndoctor.reports.html.figures.figure import Figure, drawn, taken
from dnndoctor.reports.html.figures.lines import Curve, Panel, ceiling, few, stacked, thinned
from dnndoctor.reports.html.figures.loss import SMOOTHED, smoothed
from dnndoctor.reports.words import figure as number

NAMES = ("before", "after")
KINDS = ("other", "own")  # what is looked at is the second
MOST_PARAMETERS = 24
CLOSE = 30  # rates less than so many times apart stand too close for two names


def curves(comparison: Comparison) -> tuple[Figure, ...]:
    """Every figure that at least one of the two has something for, and the other the same kind of."""
    sides = (comparison.before, comparison.after)
    return tuple(made for draw in (_course, _rates, _ratios) if (made := draw(sides)))


def _course(sides: tuple[Diagnosis, Diagnosis]) -> Figure | None:
    losses = [series.losses(each) for each in sides]
    if not any(losses):
        return None
    panels = [_panel("loss", [(_smooth(each) if each else None) for each in losses])]
    for label, of in BELOW:
        found = [of(each) for each in sides]
        if any(found):
            panels.append(_panel(label, found, height=110.0))
    tables = [dict(zip(*each, strict=True)) if each else {} for each in losses]
    steps = sorted({step for each in tables for step in each})
    kept = [steps[index] for index in few(len(steps))]
    return drawn(
        "loss-compared",
        "Loss over the steps, before and after",
        _course_caption(losses),
        stacked(panels, " or ".join(dict.fromkeys(map(series.unit, sides)))),
        ("step", "before", "after"),
        ((number(step), *(_cell(each.get(step)) for each in tables)) for step in kept),
        (),
        (),
    )


def _course_caption(losses: Sequence[Points | None]) -> str:
    ends = [series.end(each) if each else math.nan for each in losses]
    if not all(math.isfinite(each) for each in ends):
        return f"The loss ends at {_cell(ends[0])} before and at {_cell(ends[1])} after."
    verb = "lower" if ends[1] < ends[0] else "higher" if ends[1] > ends[0] else "the same"
    return f"The loss ends {verb}: at {number(ends[0])} before, at {number(ends[1])} after."


def _schedule(diagnosis: Diagnosis) -> Points | None:
    """The learning rate, where it changes at all."""
    rates = series.rates(diagnosis)
    return rates if rates and len(set(rates[1])) > 1 else None


BELOW = (("loss on held-out samples", series.held_out), ("gradient norm", series.norms), ("learning rate", _schedule))


def _smooth(points: Points) -> Points:
    if len(points[0]) < SMOOTHED:
        return points
    at, typical, *_ = thinned(Curve("", *points))
    return list(at), smoothed(typical)


def _rates(sides: tuple[Diagnosis, Diagnosis]) -> Figure | None:
    """Loss against learning rate: the range that works, and where in it each run stands."""
    sweeps = [taken(each.measurements, LearningRateSweep) for each in sides]
    if not any(each is not None and len(each.rates) for each in sweeps):
        return None
    found = [([float(r) for r in s.rates], [float(v) for v in s.scores]) if s else None for s in sweeps]
    starts = [each.start for each in sweeps if each]
    head = ceiling(max(starts), [v for each in found if each for v in each[1]])
    tables = [dict(zip(*each, strict=True)) if each else {} for each in found]
    return drawn(
        "rates-compared",
        "Loss against learning rate, before and after",
        _rates_caption(sweeps),
        stacked(
            [_panel("loss after as many steps", found, head=head)],
            "learning rate (logarithmic)",
            log_x=True,
            flags=_flags(sweeps),
        ),
        ("learning rate", "before", "after"),
        (
            (number(rate), *(_cell(each.get(rate)) for each in tables))
            for rate in sorted({r for t in tables for r in t})
        ),
        (),
        (),
    )


def _flags(sweeps: Sequence[LearningRateSweep | None]) -> list[tuple[float, str]]:
    """Where each run stands; names that would run into each other are written once, at the higher rate."""
    own = [
        (each.user_rate, f"{name} {number(each.user_rate)}") for name, each in zip(NAMES, sweeps, strict=True) if each
    ]
    low, *higher = sorted(own)
    if not higher or higher[0][0] > CLOSE * low[0]:
        return own
    [high] = higher
    if high[0] == low[0]:
        return [(low[0], f"both {number(low[0])}")]
    return [(low[0], ""), (high[0], f"{low[1]}, {high[1]}")]


def _rates_caption(sweeps: Sequence[LearningRateSweep | None]) -> str:
    said = []
    for name, each in zip(NAMES, sweeps, strict=True):
        if each is None:
            said.append(f"{name}: no rates were tried")
            continue
        edge = f", diverging from {number(each.diverging_rate)} on" if each.diverging_rate is not None else ""
        said.append(f"{name}: {number(each.user_rate)}, best {number(each.best_rate)}{edge}")
    text = "; ".join(said) + "."
    return text[:1].upper() + text[1:]


def _ratios(sides: tuple[Diagnosis, Diagnosis]) -> Figure | None:
    """Update-to-weight ratios by parameter."""
    found = [_ratio_of(each) for each in sides]
    both = [name for name in found[1] if name in found[0]]
    if not both:
        return None
    names = _changed_most(both, found)
    cases = [
        Case(
            name,
            tuple(
                Point(each[name], f"{name} {side}: {number(each[name])}", kind)
                for each, side, kind in zip(found, NAMES, KINDS, strict=True)
            ),
        )
        for name in names
    ]
    left_out = f" The {len(names)} that changed most are drawn." if len(names) < len(both) else ""
    middles = [float(np.median(list(each.values()))) for each in found]
    return drawn(
        "ratios-compared",
        "Update-to-weight ratio by parameter, before and after",
        f"The median parameter changes by {number(100 * middles[0])} % of its size per step before, "
        f"by {number(100 * middles[1])} % after.{left_out}",
        plot(cases, "update / weight", tuple(zip(KINDS, NAMES, strict=True)), log=True),
        ("parameter", "before", "after"),
        ((name, *(number(each[name]) for each in found)) for name in both),
        (),
        (),
    )


def _changed_most(names: list[str], found: Sequence[dict[str, float]]) -> list[str]:
    ranked = sorted(names, key=lambda name: -abs(math.log(found[1][name] / found[0][name])))
    kept = set(ranked[:MOST_PARAMETERS])
    return [name for name in names if name in kept]


def _ratio_of(diagnosis: Diagnosis) -> dict[str, float]:
    gradients = taken(diagnosis.measurements, Gradients)
    return dict(_medians(gradients)) if gradients else {}


def _medians(gradients: Gradients) -> Iterator[tuple[str, float]]:
    for each in gradients.by_parameter:
        usable = each.ratio[np.isfinite(each.ratio) & (each.ratio > 0)]
        if len(usable):
            yield each.name, float(np.median(usable))


def _panel(label: str, found: Sequence[Points | None], height: float = 200.0, head: float | None = None) -> Panel:
    made = [
        Curve(name, *points, kind, dots=len(points[0]) < SMOOTHED)
        for points, name, kind in zip(found, NAMES, KINDS, strict=True)
        if points
    ]
    return Panel(label, tuple(made), ceiling=head, height=height)


def _cell(value: float | None) -> str:
    return "" if value is None else number(value)
