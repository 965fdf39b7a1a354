from collections.abc import Iterator
from dataclasses import dataclass

from dnndoctor.changes import Change
from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import Activations, Layers, Optimizers, Run, Weights
from dnndoctor.rule import rule
from dnndoctor.rules.chains import each_chain
from dnndoctor.rules.naming import attribute
from dnndoctor.rules.weight_initialization.redrawing import call_for, redrawn
from dnndoctor.rules.weight_initialization.scale import Scaled, off_scale


@rule("INI102", Severity.WARNING, practice="weight-initialization")
def mis_scaled_weights(
    layers: Layers,
    weights: Weights,
    activations: Activations | None,
    run: Run | None,
    optimizers: Optimizers | None = None,
    *,
    factor: float = 3.0,
    signal_high: float = 10.0,
    signal_low: float = 1e-2,
    saturated: float = 0.40,
    overflow: float = 1e3,
    lost: float = 1e-4,
) -> Iterator[Finding]:
    """The initial weights are too large or too small for their layer, and the signal is off for it.

    What it measures
        The weights' standard deviation before the first step against the target for the layer's fan-in and fan-out and
        the activation after it, and what it does: the standard deviation of a unit across samples against the input's,
        and saturated units. Only both together count. Left out: PyTorch's default, loaded, tied and parametrized
        weights, depthwise convolutions, layers whose scale a normalisation behind them or behind the next layer takes
        out again, those at a residual branch's end, small output layers, small weights anywhere in a residual branch:
        the signal goes on beside it.

    Why it matters
        Each layer multiplies the signal, and on the way back the gradient, by about std * sqrt(fan_in).

    How to fix it
        Draw the weights with the initialisation that fits the activation: He for ReLU, Glorot for tanh and sigmoid.

    When to ignore it
        The scale is part of the method (muP, fixed random features).

    References
        Glorot & Bengio 2010, section 4.2; He et al. 2015, Delving Deep into Rectifiers, section 2.2.
        factor: 3.0, this project's choice: He, Glorot, LeCun and PyTorch's default differ by 2.45 at most.
        signal_high: 10.0, measured on digits: N(0, 1) weights, 38 times the input's std: Adam ends at 9.8, not 0.1.
        signal_low: 1e-2, measured on digits: at 4e-3 SGD has not begun to learn after 50 steps; at 8e-2 it has.
        saturated: 0.40, as for saturated units: 0.10 to 0.27 were seen in 30 sound runs.
        overflow: 1e3, measured on digits: three hidden layers of N(0, 1) weights reach it; SGD diverges. An error.
        lost: 1e-4, measured on digits: below it SGD made no progress in 300 steps. An error.
    """
    if run is not None and run.pretrained:
        raise NotApplicable("the weights were loaded")
    if not any(each.drawn for each in weights.parameters):
        raise NotExamined("the weights were not seen before the first step")
    limits = _Limits(factor, signal_high, signal_low, saturated, overflow, lost)
    yield from each_chain(layers, lambda chain: _judged(chain, weights, activations, optimizers, limits))


@dataclass(frozen=True, slots=True)
class _Limits:
    factor: float
    signal_high: float
    signal_low: float
    saturated: float
    overflow: float
    lost: float


def _judged(
    layers: Layers, weights: Weights, activations: Activations | None, optimizers: Optimizers | None, at: _Limits
) -> Iterator[Finding]:
    """The layers of one chain."""
    off = off_scale(layers, weights, at.factor)
    large = [each for each in off if each.ratio > 1]
    small = [each for each in off if each.ratio < 1 and not each.layer.output and not each.layer.branch]
    source = (activations.input_unit_std if activations else None) or 1.0
    flat = _saturated(activations, large)
    first = next((each.unit_std for each in layers.hidden if each.unit_std), source)
    highest = max((each.layer.unit_std or 0.0 for each in large), default=0.0) / source
    if large and (flat > at.saturated or highest > at.signal_high):
        signal = (
            Evidence("saturated share", flat, at.saturated)
            if flat > at.saturated
            else _relative(highest, at.signal_high)
        )
        grave = flat > 0.80 or highest > at.overflow
        yield from _findings(large, "large", signal, grave, optimizers)
        return
    if not any(each.unit_std for each in layers.affine):
        if off:
            raise NotExamined("the signal through the layers was not seen")
        return
    lowest = min((each.layer.unit_std for each in small if each.layer.unit_std is not None), default=source)
    lowest /= max(source, first)
    if small and lowest < at.signal_low and len(layers.hidden) > 1:
        yield from _findings(small, "small", _relative(lowest, at.signal_low), lowest < at.lost, optimizers)


def _relative(figure: float, expected: float) -> Evidence:
    return Evidence("std across samples relative to the input's", figure, expected)


def _saturated(activations: Activations | None, large: list[Scaled]) -> float:
    names = {each.layer.name for each in large}
    sites = activations.hidden("sigmoid", "tanh", "softsign") if activations else ()
    return max((each.history[0].saturated_share for each in sites if each.layer in names), default=0.0)


def _findings(
    off: list[Scaled], side: str, signal: Evidence, grave: bool, optimizers: Optimizers | None
) -> Iterator[Finding]:
    lines: dict[object, list[Scaled]] = {}
    for each in off:
        place = each.weight.location or each.layer.location
        lines.setdefault((place.file, place.line) if place else None, []).append(each)
    for group in lines.values():
        yield _finding(group, side, signal, grave, optimizers)


def _finding(off: list[Scaled], side: str, signal: Evidence, grave: bool, optimizers: Optimizers | None) -> Finding:
    worst = max(off, key=lambda each: max(each.ratio, 1 / max(each.ratio, 1e-30)))
    others = [each for each in off if each is not worst]
    kind = worst.layer.activation or "no activation"
    times = worst.ratio if side == "large" else 1 / max(worst.ratio, 1e-30)
    many = f" (the worst of {len(off)} on this line)" if len(off) > 1 else ""
    effect = (
        f"{signal.value:.0%} of the units are saturated"
        if signal.name == "saturated share"
        else f"the signal is {signal.value:.2g} times the input's"
    )
    return Finding(
        f"initial weights of {worst.layer.name}{many} have std {worst.weight.std:.2g}, {times:.2g} times too {side} "
        f"for {worst.layer.fan_in} inputs and {kind}: {effect}",
        location=worst.weight.location or worst.layer.location,
        subject=worst.weight.name,
        evidence=(Evidence("std", worst.weight.std, worst.target), signal),
        fix=_fix(worst, redrawn([(each.layer, each.weight) for each in [worst, *others]], optimizers)),
        severity=Severity.ERROR if grave else None,
    )


def _fix(worst: Scaled, changes: tuple[Change, ...]) -> Fix:
    call = call_for(worst.layer, f"{attribute(worst.layer.name)}.weight").removeprefix("torch.")
    return Fix(
        "Initialise to the fan-in",
        f"With std {worst.target:.2g} the signal and the gradient keep their size from layer to layer.",
        f"{call}  # likewise in the other layers",
        changes,
    )
