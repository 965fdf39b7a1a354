from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import Layer, Layers, Optimizers, Run, Weights
from dnndoctor.rule import rule
from dnndoctor.rules.chains import each_chain
from dnndoctor.rules.naming import attribute
from dnndoctor.rules.weight_initialization.scale import off_scale

BOUNDED = ("tanh", "softsign")
ADAPTIVE = ("adam", "adagrad", "adadelta", "rmsprop", "rprop", "lion", "adafactor", "muon")


@rule("INI104", Severity.WARNING, practice="weight-initialization")
def forward_variance_drift(
    layers: Layers,
    weights: Weights | None,
    optimizers: Optimizers | None,
    run: Run | None,
    *,
    fall: float = 1e-2,
    adaptive_fall: float = 1e-3,
    growth: float = 10.0,
    factor: float = 3.0,
) -> Iterator[Finding]:
    """Before the first step the signal fades, or blows up, on its way through the hidden layers.

    What it measures
        The standard deviation of one unit across samples (median over units, before the activation) in each hidden
        layer, against the first hidden layer's. The spread over all entries would not do: biases hold it up while
        nothing of the input is left. Left out are models with normalisation or skip paths between the layers, hidden
        sigmoids, which shrink any signal, and drift in the direction in which single weights are off their scale: those
        have rules of their own.

    Why it matters
        Where the signal has faded the layers behind see the same for all samples, and the first steps only move biases.

    How to fix it
        He initialisation for ReLU, Glorot for tanh; or normalisation layers or skip paths in deep models.

    When to ignore it
        The run gets going all the same, and the start is not what it spends its time on.

    References
        Glorot & Bengio 2010, section 4.2.1; He et al. 2015, section 2.2. PyTorch's default is a sixth of He's variance.
        fall: 1e-2, measured on digits with SGD: PyTorch's default trains at depth 5 (0.02); at depth 6 (8e-3) the loss
            after 300 steps is 20 times He's. He initialisation keeps 0.2 over 20 layers.
        adaptive_fall: 1e-3, measured on digits: Adam still trains above it, more slowly, so that it is a remark there.
        factor: 3.0, as for mis-scaled weights.
        growth: 10.0, measured on digits: 14 times the first layer's signal made SGD diverge.
    """
    if run is not None and run.pretrained:
        raise NotApplicable("the weights were loaded")
    yield from each_chain(
        layers, lambda chain: _judged(chain, weights, optimizers, fall, adaptive_fall, growth, factor)
    )


def _judged(
    layers: Layers,
    weights: Weights | None,
    optimizers: Optimizers | None,
    fall: float,
    adaptive_fall: float,
    growth: float,
    factor: float,
) -> Iterator[Finding]:
    """The layers of one chain."""
    hidden = layers.hidden
    if len(hidden) < 2:
        raise NotApplicable("fewer than two hidden layers")
    if any(each.normalized or each.residual for each in hidden):
        raise NotApplicable("normalisation layers or skip paths carry the signal")
    if any(each.activation == "sigmoid" for each in hidden):
        raise NotApplicable("hidden sigmoids shrink the signal by themselves")
    first = hidden[0].unit_std
    if not first or any(each.unit_std is None for each in hidden):
        raise NotExamined("the signal through the layers was not seen")
    # A tanh cuts a larger signal to 1 by itself: that is saturation and no fading.
    level = min(first, 1.0) if hidden[0].activation in BOUNDED else first
    drift = [(each, each.unit_std or 0.0) for each in hidden[1:]]
    last, lowest = min(drift, key=lambda each: each[1])
    peak, largest = max(drift, key=lambda each: each[1])
    off = [each.ratio for each in off_scale(layers, weights, factor) if not each.layer.output] if weights else []
    lowest, largest = lowest / level, largest / first
    if lowest < fall and all(ratio > 1 for ratio in off):
        remark = lowest >= adaptive_fall and adaptive(optimizers)
        yield _finding(hidden, last, lowest, fall, Severity.INFO if remark else Severity.WARNING)
    elif largest > growth and all(ratio < 1 for ratio in off):
        yield _finding(hidden, peak, largest, growth, Severity.WARNING)


def adaptive(optimizers: Optimizers | None) -> bool:
    """Whether the optimizer scales each step by itself."""
    name = optimizers.main.name.lower() if optimizers and optimizers.all else ""
    return any(each in name for each in ADAPTIVE)


def _finding(hidden: tuple[Layer, ...], layer: Layer, ratio: float, expected: float, severity: Severity) -> Finding:
    bounded = layer.activation in BOUNDED
    call = "xavier_uniform_" if bounded else "kaiming_normal_"
    return Finding(
        f"at the start the signal in {layer.name} is {ratio:.2g} times that in the first of {len(hidden)} layers",
        location=layer.location or hidden[0].location,
        subject=layer.name,
        evidence=(
            Evidence("std across samples relative to the first hidden layer's", ratio, expected),
            Evidence("hidden layers", len(hidden)),
        ),
        fix=Fix(
            f"Initialise every hidden layer with nn.init.{call}",
            "Each layer then hands on the differences between samples at full size.",
            f"nn.init.{call}({attribute(layer.name)}.weight)  # likewise in the other hidden layers",
        ),
        severity=severity,
    )
