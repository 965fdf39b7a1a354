"""Every layer with what was measured of it, as a table."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dnndoctor.measurements import Activation, Activations, Gradients, Layer, Layers, Parameter, Weights
from dnndoctor.reports.html.figures.chart import brief
from dnndoctor.reports.html.figures.figure import Figure, Measurements, taken
from dnndoctor.reports.html.figures.initialization import target_std
from dnndoctor.reports.words import figure as number
from dnndoctor.reports.words import plural

TITLE = "Layers"
COLUMNS = (
    "layer",
    "kind",
    "weight",
    "parameters",
    "activation",
    "init / target",
    "gradient RMS",
    "update / weight",
    "dead, %",
    "saturated, %",
)
NONE = "-"


@dataclass(frozen=True, slots=True)
class _Known:
    """What the columns are read from, by name: a model of 400 layers is looked up, not searched."""

    parameters: dict[str, Parameter]
    by_module: dict[str, list[Parameter]]
    gradients: dict[str, tuple[float, float]]
    activations: dict[str, Activation]


def draw(measurements: Measurements, _flagged: frozenset[str]) -> Figure | None:
    """None where no parameter was seen."""
    weights, layers = taken(measurements, Weights), taken(measurements, Layers)
    if weights is None or not weights.parameters:
        return None
    known = _known(weights, taken(measurements, Gradients), taken(measurements, Activations))
    used = layers.layers if layers else ()
    rows = [*_layers(used, known), *_others(used, known)]
    return Figure(
        "figure-model",
        TITLE,
        _caption(weights, layers),
        "",
        COLUMNS,
        tuple(rows),
        frozenset(),
        frozenset({Layers, Weights}),
        section="model",
        wide=True,
    )


def _known(weights: Weights, gradients: Gradients | None, activations: Activations | None) -> _Known:
    by_module: dict[str, list[Parameter]] = {}
    for each in weights.parameters:
        by_module.setdefault(each.module, []).append(each)
    middle = {
        each.name: (_median(each.rms), _median(each.ratio)) for each in (gradients.by_parameter if gradients else ())
    }
    sites = [each for each in (activations.sites if activations else ()) if each.layer and each.history]
    return _Known(
        {each.name: each for each in weights.parameters},
        by_module,
        middle,
        {each.layer: each for each in reversed(sites) if each.layer},
    )


def _median(values: NDArray[np.float64]) -> float:
    usable = values[np.isfinite(values)]
    return float(np.median(usable)) if len(usable) else math.nan


def _layers(used: tuple[Layer, ...], known: _Known) -> Iterator[tuple[str, ...]]:
    """One row for each layer, in forward order; one that is used again is the same layer."""
    seen: set[tuple[str, str]] = set()
    for layer in used:
        if (layer.name, layer.weight) in seen:
            continue
        seen.add((layer.name, layer.weight))
        weight = known.parameters.get(layer.weight)
        own = known.by_module.get(weight.module, [weight]) if weight else []
        activation = layer.activation or ("output" if layer.output else NONE)
        yield (
            layer.name,
            layer.kind,
            _shape(weight),
            number(sum(each.size for each in own)) if own else NONE,
            activation,
            _start(layer, weight),
            *_changes(layer.weight, known),
            *_shares(known.activations.get(layer.name)),
        )


def _others(used: tuple[Layer, ...], known: _Known) -> Iterator[tuple[str, ...]]:
    """What holds parameters and is no layer that was seen in use."""
    covered = {known.parameters[each.weight].module for each in used if each.weight in known.parameters}
    for module, own in known.by_module.items():
        if module in covered:
            continue
        largest = max(own, key=lambda each: each.size)
        kind = largest.kind if any(each.used for each in own) else f"{largest.kind}, not used"
        name = module or largest.name
        size = number(sum(each.size for each in own))
        yield name, kind, _shape(largest), size, NONE, NONE, *_changes(largest.name, known), NONE, NONE


def _shape(weight: Parameter | None) -> str:
    return " x ".join(str(each) for each in weight.shape) if weight else NONE


def _figure(value: float) -> str:
    return brief(value) if math.isfinite(value) else NONE


def _start(layer: Layer, weight: Parameter | None) -> str:
    """The first weights' deviation over the one that fans and activation ask for."""
    known = layer.kind in ("linear", "conv") and weight is not None and weight.drawn and not weight.loaded
    return _figure(weight.std / target_std(layer)) if known and weight else NONE


def _changes(weight: str, known: _Known) -> tuple[str, str]:
    size, ratio = known.gradients.get(weight, (math.nan, math.nan))
    return _figure(size), _figure(ratio)


def _shares(site: Activation | None) -> tuple[str, str]:
    if site is None:
        return NONE, NONE
    last = site.history[-1]
    return _figure(100 * last.dead_share), _figure(100 * last.saturated_share)


def _caption(weights: Weights, layers: Layers | None) -> str:
    size = sum(each.size for each in weights.parameters)
    trained = sum(each.size for each in weights.parameters if each.optimizer is not None)
    name = f"{layers.model}: " if layers and layers.model else ""
    frozen = "all of them trained" if trained == size else f"{number(trained)} of them trained"
    count = f"{plural(len({(e.name, e.weight) for e in layers.layers}), 'layer')}, " if layers else ""
    return (
        f"{name}{count}{plural(size, 'parameter')}, {frozen}. Gradients and updates are medians over the "
        "watched steps, dead and saturated shares those of the last one."
    )
