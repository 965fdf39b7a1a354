from collections.abc import Iterator
from math import sqrt

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import Activation, Activations, Layers, Run, Weights
from dnndoctor.rule import rule
from dnndoctor.rules.naming import attribute


@rule("INI103", Severity.INFO, practice="weight-initialization")
def sigmoid_init(
    activations: Activations,
    layers: Layers,
    weights: Weights,
    run: Run | None,
    *,
    factor: float = 1.5,
    shrunk: float = 0.05,
    saturated: float = 0.40,
) -> Iterator[Finding]:
    """The weights before a hidden sigmoid are not on the scale that it needs, and its outputs show it.

    What it measures
        The standard deviation of the weights that feed hidden sigmoids, before the first step, against that of a
        uniform draw between -r and r with r = 4 sqrt(6 / (fan_in + fan_out)); and of the sigmoid's outputs in the
        first step how much they vary across samples, and how many are saturated. Both have to be off.

    Why it matters
        A sigmoid's slope is a quarter of tanh's. With weights for tanh or ReLU its outputs hardly differ from 0.5 after
        a layer or two, and with too large ones they are stuck at 0 and 1.

    How to fix it
        Glorot's uniform initialisation with a gain of 4, or another activation.

    When to ignore it
        The network is shallow and learns.

    References
        Glorot & Bengio 2010, section 4.2.1, with the factor of 4 for sigmoids that their tutorial code gives.
        factor: 1.5, this project's choice: Glorot's normal and uniform draws have the same standard deviation.
        shrunk: 0.05, arithmetic: half of what a signal of standard deviation 0.4 leaves at a slope of a quarter.
        saturated: 0.40, as for saturated units.
    """
    if run is not None and run.pretrained:
        raise NotApplicable("the weights were loaded")
    sites = activations.hidden("sigmoid")
    if not sites:
        raise NotApplicable("no sigmoid in a hidden layer")
    judged = [(site, std, target) for site in sites for std, target in _scales(site, layers, weights)]
    if not judged:
        raise NotExamined("the weights before the sigmoids were not seen before the first step")
    found = [
        (site, std, target)
        for site, std, target in judged
        if not target / factor <= std <= target * factor
        and (site.history[0].unit_std < shrunk if std < target else site.history[0].saturated_share > saturated)
    ]
    if not found:
        return
    site, std, target = found[0]
    first = site.history[0]
    effect = (
        f"its outputs vary by only {first.unit_std:.2g} across samples"
        if std < target
        else f"{first.saturated_share:.0%} of its outputs are saturated"
    )
    yield Finding(
        f"the weights of {site.layer} have std {std:.2g} where its sigmoid needs {target:.2g}: {effect}",
        location=site.location,
        subject=site.layer,
        evidence=(
            Evidence("std", std, target),
            Evidence("std of the outputs across samples", first.unit_std),
            Evidence("layers off their scale", len(found), 0),
        ),
        fix=Fix(
            "Initialise layers before a sigmoid with a gain of 4",
            "The sums then reach over the sigmoid's slope, and its outputs tell samples apart.",
            f"nn.init.xavier_uniform_({attribute(site.layer)}.weight, gain=4)",
        ),
    )


def _scales(site: Activation, layers: Layers, weights: Weights) -> Iterator[tuple[float, float]]:
    """The standard deviation of the weight that feeds it and what it should be, if that was drawn and is its own."""
    layer = layers.named(site.layer or "")
    weight = weights.named(layer.weight) if layer else None
    if layer is None or weight is None or layer.normalized or layer.kind not in ("linear", "conv"):
        return
    if weight.drawn and weight.trainable and not (weight.loaded or weight.parametrized or weight.constant):
        yield weight.std, 4 * sqrt(2 / (layer.fan_in + layer.fan_out))
