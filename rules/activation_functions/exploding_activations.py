from collections.abc import Iterator

import numpy as np

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import Activations, Finiteness, Layer, Layers, Signals
from dnndoctor.rule import rule
from dnndoctor.rules.chains import each_chain
from dnndoctor.rules.naming import attribute

LAST = 3  # sampled steps


@rule("ACT105", Severity.WARNING, practice="activation-functions")
def exploding_activations(
    layers: Layers,
    signals: Signals,
    activations: Activations | None,
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
        off. And the largest magnitude. The output layer, gates, and layers that a norm follows are left out. It is an
        error where values that are not finite follow.

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
    broken = finiteness is not None and finiteness.first is not None

    def judged(chain: Layers) -> Iterator[Finding]:
        yield from _judged(chain, signals, source, (growth, spread, largest), Severity.ERROR if broken else None)

    yield from each_chain(layers, judged)


def _judged(
    chain: Layers, signals: Signals, source: float | None, limits: tuple[float, float, float], severity: Severity | None
) -> Iterator[Finding]:
    """The first layer of the chain that is off: the rest follows from it."""
    growth, spread, largest = limits
    before, seen = source, False
    for layer in chain.affine:
        signal = signals.of(layer.name)
        whole = np.isfinite(signal.largest) & np.isfinite(signal.unit_std) if signal else np.zeros(0, bool)
        if signal is None or whole.sum() < 2:
            continue
        seen = True
        size, high = (float(np.median(each[whole][-LAST:])) for each in (signal.unit_std, signal.largest))
        grown = size / before if before else 0.0
        off = (grown > growth and size > spread) or high > largest
        if off and not (layer.output or layer.gate or layer.normalized):
            yield _finding(layer, size, grown, high, limits, severity)
            return
        before = 1.0 if layer.normalized else size
    if not seen:
        raise NotExamined("the outputs of the layers were sampled in fewer than two steps")


def _finding(
    layer: Layer,
    size: float,
    grown: float,
    high: float,
    limits: tuple[float, float, float],
    severity: Severity | None,
) -> Finding:
    growth, _, largest = limits
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
