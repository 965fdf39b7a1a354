from collections.abc import Iterator

import numpy as np

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import Activations, Finiteness, Layer, Layers, Signals, Steps, Weights
from dnndoctor.rule import rule
from dnndoctor.rules.chains import each_chain
from dnndoctor.rules.naming import attribute
from dnndoctor.rules.weight_initialization.scale import off_scale

LAST = 3  # sampled steps
DIVERGED = 10.0  # times the first loss: then it is the steps that blow up what all layers put out
FACTOR = 3.0  # as for mis-scaled weights


@rule("ACT105", Severity.WARNING, practice="activation-functions")
def exploding_activations(
    layers: Layers,
    signals: Signals,
    activations: Activations | None,
    weights: Weights | None,
    steps: Steps | None,
    finiteness: Finiteness | None,
    *,
    growth: float = 10.0,
    spread: float = 10.0,
    largest: float = 1e4,
) -> Iterator[Finding]:
    """The outputs of a hidden layer are far larger than what it was given, or close to overflow.

    What it measures
        In the last three sampled steps: the standard deviation across samples of a hidden layer's outputs before the
        activation, against the layer's before it (the input's for the first); both the growth and the size have to be
        off. And the largest magnitude. The output layer, gates, and layers that a norm follows are left out, and so are
        those that start with weights too large for them, which mis-scaled-weights tells. Where the loss diverges only
        the first step counts. It is an error where values that are not finite follow.

    Why it matters
        Each further layer multiplies it again, the gradient with it, until a step overshoots; 16-bit floats end at
        65504.

    How to fix it
        Scale the initial weights to the fan-in and the inputs to unit size; a normalisation layer; a lower rate.

    When to ignore it
        The layer is meant to put out large numbers.

    References
        He et al. 2015, Delving Deep into Rectifiers, section 2.2; Micikevicius et al. 2018, section 3.3, for 65504.
        growth: 10.0, measured on 80 sound scripts: up to 5 from one hidden layer to the next but for faint ones.
        spread: 10.0, measured on 80 sound scripts: hidden layers stay under 4 where inputs are standardised.
        largest: 10000.0, arithmetic: a sixth of the largest 16-bit float; sound scripts stay under 100.
    """
    if not layers.hidden:
        raise NotApplicable("no hidden layer")
    source = activations.input_unit_std if activations else None
    diverged = steps is not None and _diverged(steps)
    broken = finiteness is not None and finiteness.first is not None

    def judged(chain: Layers) -> Iterator[Finding]:
        told = {each.layer.name for each in off_scale(chain, weights, FACTOR) if each.ratio > 1} if weights else set()
        for layer, size, grown, high in _off(chain, signals, source, (growth, spread, largest), start=diverged):
            if layer.name not in told:
                yield _finding(layer, size, grown, high, (growth, largest), Severity.ERROR if broken else None)
            return  # the rest follows from it

    yield from each_chain(layers, judged)


def _diverged(steps: Steps) -> bool:
    losses = steps.loss[np.isfinite(steps.loss)]
    return len(losses) > LAST and bool(losses.max() > DIVERGED * abs(losses[0]))


def _off(
    chain: Layers, signals: Signals, source: float | None, limits: tuple[float, float, float], *, start: bool
) -> Iterator[tuple[Layer, float, float, float]]:
    """The layers that are off, with size, growth and largest magnitude; ``start``: before the first update."""
    growth, spread, largest = limits
    at = slice(1) if start else slice(-LAST, None)
    before, seen = source, False
    for layer in chain.affine:
        signal = signals.of(layer.name)
        whole = np.isfinite(signal.largest) & np.isfinite(signal.unit_std) if signal else np.zeros(0, bool)
        if signal is None or whole.sum() < 2:
            continue
        seen = True
        size, high = (float(np.median(each[whole][at])) for each in (signal.unit_std, signal.largest))
        grown = size / before if before else 0.0
        off = (grown > growth and size > spread) or high > largest
        if off and not (layer.output or layer.gate or layer.normalized):
            yield layer, size, grown, high
        before = 1.0 if layer.normalized else size
    if not seen:
        raise NotExamined("the outputs of the layers were sampled in fewer than two steps")


def _finding(
    layer: Layer, size: float, grown: float, high: float, limits: tuple[float, float], severity: Severity | None
) -> Finding:
    growth, largest = limits
    times = f"{grown:.2g} times what goes in" if grown > growth else f"up to {high:.2g}"
    return Finding(
        f"the outputs of {layer.name} are {times}: their standard deviation across samples is {size:.2g}",
        location=layer.location,
        subject=layer.name,
        evidence=(
            Evidence("std across samples", size, 1.0),
            Evidence("growth from the layer before", grown, growth),
            Evidence("largest magnitude", high, largest),
        ),
        fix=Fix(
            "Bring weights and inputs to unit scale, or normalise behind the layer",
            f"The signal then keeps its size instead of growing {max(grown, 1.0):.2g} times in this layer.",
            f"nn.init.kaiming_normal_({attribute(layer.name)}.weight)",
        ),
        severity=severity,
    )
