from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from dnndoctor.changes import Change
from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, Severity
from dnndoctor.measurements import Activation, Activations, Gradients, Layers, Optimizers, Weights
from dnndoctor.rule import rule
from dnndoctor.rules.activation_functions.watching import named, typical, worst_by_place
from dnndoctor.rules.edits import exchange
from dnndoctor.rules.weight_initialization.redrawing import redrawn


@rule("ACT102", Severity.INFO, practice="activation-functions")
def sigmoid_hidden(
    activations: Activations,
    layers: Layers | None,
    gradients: Gradients | None,
    weights: Weights | None,
    optimizers: Optimizers | None,
    *,
    depth: int = 3,
    gradient_ratio: float = 0.1,
    deep: int = 5,
) -> Iterator[Finding]:
    """A sigmoid is used as a hidden activation, though its outputs are never centred on zero.

    What it measures
        Hidden sigmoids (no gates, no outputs) and the mean of what they put out. It becomes a warning where the
        model is deep and the first layer's weights get a much smaller gradient (root mean square, median of the
        first five watched steps) than the last layer's.

    Why it matters
        A sigmoid's slope is at most 1/4, so that each one takes at least three quarters of the gradient; and as its
        outputs are all positive, the weights after it can only rise or fall together.

    How to fix it
        Use tanh, ReLU or one of its relatives. In a deep stack ReLU needs weights of its own, or the signal is lost.

    When to ignore it
        The unit's output is meant as a probability or a share.

    References
        LeCun et al. 1998, Efficient BackProp, section 4.4; Glorot & Bengio 2010, section 3.1.
        depth: 3, measured on digits: in PyTorch's default init 3 sigmoid layers made no progress in 300 steps of SGD.
        gradient_ratio: 0.1, this project's choice: two layers of slope 1/4 in PyTorch's default init lie below it.
        deep: 5, measured on stacks of 256 units: behind so many ReLU layers in PyTorch's default init 0.5 % of the
        signal is left, behind three 4 %; with He's 43 % and 57 %.
    """
    sites = activations.hidden("sigmoid")
    if not sites:
        raise NotApplicable("no sigmoid in a hidden layer")
    for site, offset, count in worst_by_place((each, abs(typical(each.history, "mean"))) for each in sites):
        chain = _around(site, layers)
        ratio = _first_to_last(chain, gradients)
        stacked = _depth(chain, sites)
        starved = stacked >= depth and ratio is not None and ratio < gradient_ratio
        evidence = [Evidence("mean output", offset, 0.0)]
        lost = ""
        if ratio is not None:
            evidence.append(Evidence("gradient of the first layer to the last's", ratio, gradient_ratio))
            lost = f", and the first layer gets {ratio:.2g} of the last one's gradient" if starved else ""
        yield Finding(
            f"{named(site, count)} is a hidden activation with a mean output of {offset:.2f}, not 0{lost}",
            location=site.location,
            subject=site.layer or site.name,
            evidence=tuple(evidence),
            fix=Fix(
                "Replace the hidden sigmoid by ReLU or tanh",
                "Up to four times the gradient passes each layer, and outputs are centred (tanh) or sparse (ReLU).",
                "nn.ReLU()  # or torch.relu(x), in place of the sigmoid",
                _edit(site, activations, chain, weights, optimizers, stacked >= deep),
            ),
            severity=Severity.WARNING if starved else None,
        )


def _edit(
    site: Activation,
    activations: Activations,
    chain: Layers | None,
    weights: Weights | None,
    optimizers: Optimizers | None,
    redraw: bool,
) -> tuple[Change, ...]:
    """ReLU for the sigmoids that the line makes, and ``redraw``: He's initialization for the layers before them."""
    if not _only_hidden(site, activations):
        return ()
    changes = exchange("sigmoid", "relu", site.location)
    if not redraw or chain is None or weights is None:
        return changes
    names = {each.layer for each in activations.hidden("sigmoid") if each.location == site.location}
    before = [replace(each, activation="relu") for each in chain.layers if each.name in names]
    drawn = [(each, weight) for each in before if each.weight and (weight := weights.named(each.weight)) is not None]
    return (*changes, *(redrawn(drawn, optimizers) if drawn else ()))


def _only_hidden(site: Activation, activations: Activations) -> bool:
    """Whether the line makes no other sigmoids, as gates or outputs."""
    roles = {each.role for each in activations.sites if each.location == site.location and each.function == "sigmoid"}
    return site.location is not None and roles == {"hidden"}


def _around(site: Activation, layers: Layers | None) -> Layers | None:
    """The layers of the model that it is in, where several are trained."""
    chains = layers.chains() if layers else ()
    return next((each for each in chains if each.named(site.layer or "")), layers)


def _depth(chain: Layers | None, sites: tuple[Activation, ...]) -> int:
    """How many hidden sigmoids a gradient passes."""
    if chain is None:
        return len(sites)
    mine = sum(each.layer is None or chain.named(each.layer) is not None for each in sites)
    return max(mine, sum(each.activation == "sigmoid" for each in chain.hidden))


def _first_to_last(layers: Layers | None, gradients: Gradients | None) -> float | None:
    if layers is None or gradients is None or len(layers.affine) < 2:
        return None
    ends = [gradients.of(each.weight) for each in (layers.affine[0], layers.affine[-1])]
    first, last = (np.nanmedian(g.rms[:5]) if g and np.isfinite(g.rms[:5]).any() else np.nan for g in ends)
    return float(first / last) if last > 0 and np.isfinite(first) else None
