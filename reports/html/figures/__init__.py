"""Figures as SVG, written without JavaScript: one file each over one module of scales and elements."""

from collections.abc import Iterable

from dnndoctor.reports.html.figures import (
    activations,
    gradient_flow,
    initialization,
    learning_rate,
    loss,
    throughput,
    update_ratio,
)
from dnndoctor.reports.html.figures.figure import Draw, Figure, Measurements

DRAWN: tuple[Draw, ...] = (
    learning_rate.draw,
    activations.draw,
    initialization.draw,
    gradient_flow.draw,
    throughput.draw,
    update_ratio.draw,
    loss.draw,
)


def figures(measurements: Measurements, flagged: Iterable[str] = ()) -> tuple[Figure, ...]:
    """Every figure that the measurements allow; ``flagged``: layers and parameters that findings are about."""
    marked = frozenset(flagged)
    return tuple(made for draw in DRAWN if (made := draw(measurements, marked)))
