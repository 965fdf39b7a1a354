"""Figures as SVG, written without JavaScript: one file each over one module of scales and elements."""

from collections.abc import Iterable

from dnndoctor.reports.html.figures import (
    activations,
    attention,
    blanked,
    classes,
    data_table,
    entry_mixing,
    features,
    gradient_flow,
    gradient_heat,
    initialization,
    kept_graphs,
    learning_method,
    learning_rate,
    loss,
    model_table,
    movement,
    noise,
    one_batch,
    overfitting,
    padding,
    precision,
    rate_curves,
    remedies,
    sample_order,
    schedule,
    signals,
    throughput,
    timing,
    update_ratio,
    warm_start,
    width,
    workers,
)
from dnndoctor.reports.html.figures.figure import Draw, Figure, Measurements

# A finding gets the first that shows what its rule needs, so those that show one thing stand before those of many.
DRAWN: tuple[Draw, ...] = (
    learning_rate.draw,
    rate_curves.draw,
    learning_method.draw,
    one_batch.draw,
    blanked.draw,
    activations.draw,
    initialization.draw,
    signals.draw,
    gradient_flow.draw,
    gradient_heat.draw,
    attention.draw,
    throughput.draw,
    noise.draw,
    sample_order.draw,
    entry_mixing.draw,
    schedule.draw,
    remedies.draw,
    width.draw,
    warm_start.draw,
    overfitting.draw,
    movement.draw,
    kept_graphs.draw,
    padding.draw,
    workers.draw,
    precision.draw,
    update_ratio.draw,
    loss.draw,
    timing.draw,
    classes.draw,
    features.draw,
    model_table.draw,
    data_table.draw,
    data_table.draw_tensors,
)


def figures(measurements: Measurements, flagged: Iterable[str] = ()) -> tuple[Figure, ...]:
    """Every figure that the measurements allow; ``flagged``: layers and parameters that findings are about."""
    marked = frozenset(flagged)
    return tuple(made for draw in DRAWN if (made := draw(measurements, marked)))
