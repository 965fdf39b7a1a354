from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, Severity
from dnndoctor.measurements import Activation, Activations, Layers, Weights
from dnndoctor.rule import rule
from dnndoctor.rules.activation_functions.watching import named, typical, watched, worst_by_place
from dnndoctor.rules.naming import attribute

ZERO_SIDED = ("relu", "relu6", "threshold")
NORMALISING = ("softmax", "log_softmax", "softmin")


@rule("ACT104", Severity.ERROR, practice="activation-functions")
def collapsed_activations(
    activations: Activations,
    layers: Layers | None,
    weights: Weights | None,
    *,
    spread: float = 1e-3,
    zeros: float = 0.5,
) -> Iterator[Finding]:
    """A hidden layer puts out the same values for every sample.

    What it measures
        Standard deviation of one unit across samples (median over units), against the standard deviation of all
        outputs; both at the last three watched steps and at the first three. The inputs do differ, and the weights of
        the first collapsed layer are not simply all zero: that is for symmetric-weights.

    Why it matters
        What the layer puts out no longer depends on the input, so nothing after it can learn more than the base rate.

    How to fix it
        Look at the layers before it: weights that are too small, saturated or dead units. He or Glorot initialisation
        keeps the signal's size from layer to layer; a normalisation layer restores it.

    When to ignore it
        The branch is meant to start as a constant.

    References
        Glorot & Bengio 2010, section 4.2.1; Ioffe & Szegedy 2015, Batch Normalization, section 3.
        spread: 1e-3, measured on plain ReLU stacks in PyTorch's default init: 0.2 at depth 5, 2e-3 at 10, 3e-7 at 20.
        zeros: 0.5, arithmetic: where half of a ReLU's outputs are zero the median unit may just be a silent one.
    """
    sites = tuple(each for each in activations.hidden() if each.function not in NORMALISING)
    if not sites:
        raise NotApplicable("no hidden activation")
    if not _inputs_differ(activations, layers):
        raise NotApplicable("the inputs do not differ from sample to sample, or came one at a time")
    collapsed = [each for each in watched(sites, 2) if _collapsed(each, spread, zeros)]
    collapsed = collapsed if not _zeroed(collapsed, layers, weights) else []
    if not collapsed:
        return
    # What follows a collapsed layer is collapsed too: the first one is the place to look at.
    for site, _, count in worst_by_place((each, -sites.index(each)) for each in collapsed[:1]):
        late = site.history[-1]
        yield Finding(
            f"the outputs of {named(site, count)} are the same for every sample: they vary by {late.unit_std:.2g} "
            f"across samples; hidden activations that collapsed: {len(collapsed)}",
            location=site.location,
            subject=site.layer or site.name,
            evidence=(
                Evidence("std across samples", late.unit_std),
                Evidence("std of all outputs", late.std),
                Evidence("collapsed activations", len(collapsed), 0),
            ),
            fix=Fix(
                "Restore the signal in the layers before it",
                "Initialised to their fan-in they pass on differences between samples at full size.",
                f"nn.init.kaiming_normal_({attribute(site.layer)}.weight)  # and in each layer before it",
            ),
        )


def _inputs_differ(activations: Activations, layers: Layers | None) -> bool:
    # The median feature of a sparse input is constant, and yet the samples differ: then some layer shows it.
    spreads = [activations.input_unit_std, *(each.unit_std for each in (layers.layers if layers else ()))]
    return any((each or 0) > 0 for each in (*spreads, *(site.history[-1].unit_std for site in activations.hidden())))


def _zeroed(collapsed: list[Activation], layers: Layers | None, weights: Weights | None) -> bool:
    layer = layers.named(collapsed[0].layer or "") if collapsed and layers else None
    weight = weights.named(layer.weight) if layer and weights else None
    return weight is not None and weight.max_abs == 0


def _collapsed(site: Activation, spread: float, zeros: float) -> bool:
    for steps in (site.history[:3], site.history[-3:]):
        if site.function in ZERO_SIDED and typical(steps, "zero_share") >= zeros:
            return False
        if not typical(steps, "unit_std") <= spread * typical(steps, "std"):
            return False
    return True
