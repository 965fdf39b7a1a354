from collections.abc import Iterator
from math import isfinite

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import Layer, Layers, Optimizers, Run, Signals, Weights
from dnndoctor.rule import rule
from dnndoctor.rules.chains import each_chain
from dnndoctor.rules.naming import attribute
from dnndoctor.rules.weight_initialization.forward_variance_drift import BOUNDED, adaptive
from dnndoctor.rules.weight_initialization.scale import off_scale


@rule(
    "INI105",
    Severity.WARNING,
    practice="weight-initialization",
    not_for={"reinforcement": "in reinforcement learning policy and value start on scales of their own"},
)
def backward_variance_drift(
    layers: Layers,
    signals: Signals,
    weights: Weights | None,
    optimizers: Optimizers | None,
    run: Run | None,
    *,
    drift: float = 100.0,
    adaptive_drift: float = 1000.0,
    factor: float = 3.0,
) -> Iterator[Finding]:
    """Before the first step the gradient fades, or blows up, on its way back through the hidden layers.

    What it measures
        The size of the loss gradient at the output of the first hidden layer against that at the last one's, in the
        first step; of a convolution together over all positions. Left out are models with normalisation, skip paths,
        recurrence or attention between, and hidden sigmoids; and weights whose own scale explains it, which have a rule
        of their own.

    Why it matters
        Plain gradient descent moves each layer by its own gradient: at one rate for all, either the first layers stand
        still or the last ones do.

    How to fix it
        He initialisation for ReLU, Glorot for tanh; or normalisation layers or skip paths in deep models.

    When to ignore it
        The optimizer scales each layer's step by itself; then it is a remark up to a point.

    References
        Glorot & Bengio 2010, section 4.2.2 and figure 7; He et al. 2015, section 2.2, backward propagation case.
        drift: 100.0, Glorot & Bengio 2010, figure 7: five tanh layers differ by less than 10 where they train well.
        adaptive_drift: 1000.0, as for the forward signal: Adam trains below it, more slowly.
        factor: 3.0, as for mis-scaled weights.
    """
    if run is not None and run.pretrained:
        raise NotApplicable("the weights were loaded")

    def judged(chain: Layers) -> Iterator[Finding]:
        first, last, ratio = _ends(chain, signals)
        off = [each.ratio for each in off_scale(chain, weights, factor) if not each.layer.output] if weights else []
        fades, grows = ratio < 1 / drift, ratio > drift
        if (fades and all(each > 1 for each in off)) or (grows and all(each < 1 for each in off)):
            remark = adaptive(optimizers) and 1 / adaptive_drift < ratio < adaptive_drift
            yield _finding(first, last, ratio, drift, Severity.INFO if remark else Severity.WARNING)

    yield from each_chain(layers, judged)


def _ends(chain: Layers, signals: Signals) -> tuple[Layer, Layer, float]:
    hidden = chain.hidden
    if len(hidden) < 2:
        raise NotApplicable("fewer than two hidden layers")
    if any(each.normalized or each.residual or each.branch for each in hidden):
        raise NotApplicable("normalisation layers or skip paths carry the gradient")
    if any(each.kind in ("recurrent", "attention", "norm") for each in chain.layers):
        raise NotApplicable("recurrent, attention or norm layers stand between")
    if any(each.activation == "sigmoid" for each in hidden):
        raise NotApplicable("hidden sigmoids shrink the gradient by themselves")
    first, last = signals.of(hidden[0].name), signals.of(hidden[-1].name)
    if first is None or last is None or not isfinite(first.grad_norm) or not last.grad_norm > 0:
        raise NotExamined("the gradient through the layers was not seen")
    return hidden[0], hidden[-1], first.grad_norm / last.grad_norm


def _finding(first: Layer, last: Layer, ratio: float, expected: float, severity: Severity) -> Finding:
    call = "xavier_uniform_" if first.activation in BOUNDED else "kaiming_normal_"
    limit = 1 / expected if ratio < 1 else expected
    return Finding(
        f"at the start the gradient at {first.name} is {ratio:.2g} times that at {last.name}",
        location=first.location,
        subject=first.name,
        evidence=(Evidence("gradient of the first hidden layer to the last's", ratio, limit),),
        fix=Fix(
            f"Initialise every hidden layer with nn.init.{call}",
            "The gradient then keeps its size from layer to layer.",
            f"nn.init.{call}({attribute(first.name)}.weight)  # likewise in the other hidden layers",
        ),
        severity=severity,
    )
