from collections.abc import Iterator
from itertools import pairwise
from math import isfinite, log2

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, Severity
from dnndoctor.measurements import Layer, Layers, Losses, OneBatch
from dnndoctor.rule import rule

FLOOR_UNKNOWN = {
    "gan": "in adversarial training the loss need not fall, so that under-fitting cannot be measured by it",
    "reinforcement": "in reinforcement learning the loss is no measure of the fit",
    "contrastive": "a contrastive loss has no floor that is known, so that under-fitting cannot be measured by it",
    "variational": "the code of a variational model is narrow on purpose",
    "diffusion": "noise is drawn anew at every step, so that under-fitting cannot be measured by the loss",
}


@rule("CAP102", Severity.WARNING, practice="capacity", not_for=FLOOR_UNKNOWN)
def bottleneck_layer(
    layers: Layers,
    one: OneBatch,
    losses: Losses | None,
    *,
    narrow: float = 0.125,
    share: float = 0.33,
    fewest: int = 100,
) -> Iterator[Finding]:
    """A hidden layer is so narrow that the model cannot learn even one batch through it.

    What it measures
        The units of each hidden layer against its inputs and the outputs of the layer behind it, or against the number
        of bits that the classes take; and whether the model learned one batch by heart. Both have to be off: narrow
        layers of models that learn are sound. Gates, residual branches and low-rank pairs without an activation
        between are left out.

    Why it matters
        All that the layers behind can know of a sample is what passes through the narrowest one.

    How to fix it
        Widen the layer.

    When to ignore it
        The narrow code is the purpose, and the loss that remains is its price.

    References
        Karpathy 2019, A Recipe for Training Neural Networks, section 2: overfit one batch.
        narrow: 0.125, this project's choice: an eighth of the narrower neighbour; sound classifiers step by 2 to 4.
        share: 0.33, measured on one unit between 128 and 64: 0.43 of the first loss are left; sound ones leave 0.1.
        fewest: 100, as for cannot-overfit-one-batch: steps below which nothing is said.
    """
    classes = (losses.main.classes or 0) if losses else 0
    found = [each for each in _with_next(layers) if _narrow(*each, narrow, classes)]
    if not found:
        raise NotApplicable("no hidden layer is much narrower than those around it")
    best = one.best
    enough = best.steps >= fewest or not isfinite(best.final)
    if not enough or any(each.learned for each in one.trials) or not best.final > share * best.start:
        return
    layer, after = min(found, key=lambda each: each[0].outputs)
    units = f"{layer.outputs} unit{'s' if layer.outputs > 1 else ''}"
    wide = f"{layer.inputs} inputs and {after.outputs} units behind it"
    yield Finding(
        f"layer {layer.name} has {units} between {wide}, and one batch trained {best.steps} times through it "
        f"leaves the loss at {best.final:.3g} of {best.start:.3g}",
        location=layer.location,
        subject=layer.name,
        evidence=(
            Evidence("units", layer.outputs, max(round(narrow * min(layer.inputs, after.outputs)), 1)),
            Evidence("loss on one batch", best.final, share * best.start),
        ),
        fix=Fix(
            f"widen {layer.name}",
            f"{min(layer.inputs, max(after.outputs, 16))} units let the layers behind tell more samples apart.",
        ),
    )


def _with_next(layers: Layers) -> list[tuple[Layer, Layer]]:
    """Hidden layers on the main path, each with the one behind it; of a low-rank pair the first is not meant."""
    chains = [each.affine for each in layers.chains() if each.affine]
    whole = [each for each in chains if each[0].inputs != each[-1].outputs]  # else an autoencoder
    pairs = [pair for chain in whole for pair in pairwise(chain)]
    return [
        (layer, after)
        for layer, after in pairs
        if not (layer.output or layer.gate or layer.residual or layer.branch)
        and (layer.activation is not None or layer.normalized)
    ]


def _narrow(layer: Layer, after: Layer, narrow: float, classes: int) -> bool:
    bits = after.output and classes > 2 and layer.outputs < log2(classes)
    return layer.outputs < narrow * min(layer.inputs, after.outputs) or bits
