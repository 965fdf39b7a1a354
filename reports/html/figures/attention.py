"""How sharp attention is over the watched steps, and how large its logits grow."""

import numpy as np
from numpy.typing import NDArray

from dnndoctor.measurements import Attention, AttentionSite
from dnndoctor.reports.html.figures.chart import brief
from dnndoctor.reports.html.figures.figure import Figure, Measurements, drawn, taken
from dnndoctor.reports.html.figures.lines import Curve, Panel, stacked

TITLE = "Sharpness of attention"
DRAWN = 6  # lines that can be told apart


def draw(measurements: Measurements, _flagged: frozenset[str]) -> Figure | None:
    """None where no attention was watched."""
    attention = taken(measurements, Attention)
    sites = [each for each in attention.sites if len(each.steps)] if attention else []
    if not sites:
        return None
    sharpest = sorted(sites, key=lambda each: float(each.entropy[-1]))[:DRAWN]
    kinds = dict(zip((each.name for each in sharpest), ("own", "other", "third"), strict=False))
    panels = [
        Panel(
            "entropy of the weights, of equal weights'", _curves(sharpest, kinds, logits=False), log=False, zero=True
        ),
        Panel("largest logit", tuple(_unnamed(_curves(sharpest, kinds, logits=True))), height=110.0),
    ]
    return drawn(
        "attention",
        TITLE,
        _caption(sites, sharpest[0]),
        stacked(panels, "optimizer step"),
        ("attention", "entropy at first", "at last", "largest logit at first", "at last"),
        ((each.name, *(brief(v) for v in (*_ends(each.entropy), *_ends(each.largest)))) for each in sites),
        {"activation-functions", "numerics", "capacity", "weight-initialization"},
        {Attention},
        section="model",
    )


def _ends(values: NDArray[np.float64]) -> tuple[float, float]:
    return float(values[0]), float(values[-1])


def _curves(sites: list[AttentionSite], kinds: dict[str, str], *, logits: bool) -> tuple[Curve, ...]:
    return tuple(
        Curve(
            each.name,
            [float(v) for v in each.steps],
            [float(v) for v in (each.largest if logits else each.entropy)],
            kinds.get(each.name, "quiet"),
            dots=False,
        )
        for each in sites
    )


def _unnamed(curves: tuple[Curve, ...]) -> list[Curve]:
    """The panel above has their names."""
    return [Curve("", each.x, each.y, each.kind, dots=False) for each in curves]


def _caption(sites: list[AttentionSite], sharpest: AttentionSite) -> str:
    first, last = _ends(sharpest.entropy)
    drawn_ones = f" The {DRAWN} sharpest of {len(sites)} are drawn." if len(sites) > DRAWN else ""
    return (
        f"{sharpest.name} is the sharpest: the entropy of its weights goes from {first:.0%} to {last:.0%} "
        f"of that of equal weights.{drawn_ones}"
    )
