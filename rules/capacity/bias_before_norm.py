from collections.abc import Iterator

from dnndoctor.changes import Change, SetArgument
from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, Severity
from dnndoctor.measurements import BiasBeforeNorm, Layers, Wiring
from dnndoctor.rule import rule

KINDS = tuple(f"{lazy}{kind}" for lazy in ("", "Lazy") for kind in ("Linear", "Conv1d", "Conv2d", "Conv3d")) + tuple(
    f"{lazy}ConvTranspose{dimensions}d" for lazy in ("", "Lazy") for dimensions in (1, 2, 3)
)


@rule("CAP106", Severity.INFO, practice="capacity")
def bias_before_norm(wiring: Wiring, layers: Layers | None = None, *, fewest: int = 1) -> Iterator[Finding]:
    """A layer has a bias that the batch norm behind it takes away again.

    What it measures
        Trained convolutions and linear layers with a bias whose output goes into a batch or instance norm and nowhere
        else. Layers that are used more than once, loaded weights, and norms over something else than a feature of its
        own (layer and group norm) are left out.

    Why it matters
        The norm subtracts the mean of each feature, and with it any constant that was added: the bias has no effect
        and no gradient, but takes memory in the model, the optimizer and every checkpoint.

    How to fix it
        Build the layer with ``bias=False``; the norm's own bias does the work.

    When to ignore it
        Weights are to be exchanged with a model that has these biases.

    References
        Ioffe and Szegedy 2015, Batch Normalization, section 3.2: "the bias b can be ignored".
        fewest: 1, Ioffe and Szegedy 2015, section 3.2: it holds for each layer by itself.
    """
    if not wiring.affine:
        raise NotApplicable("no linear layer or convolution")
    found = wiring.biases
    if len(found) < fewest:
        return
    first, entries = found[0], sum(each.entries for each in found)
    others = f" and {len(found) - 1} more layers have" if len(found) > 1 else " has"
    yield Finding(
        f"{first.layer}{others} a bias right before a batch or instance norm: {entries} parameters without effect",
        location=first.location,
        subject=first.layer,
        evidence=(Evidence("layers", len(found), 0), Evidence("parameters without effect", entries, 0)),
        fix=Fix(
            "build these layers with bias=False",
            f"Saves {entries} parameters that never change what the model computes.",
            "bias=False  # in " + ", ".join(each.layer for each in found[:8]),
            _without(found, layers),
        ),
    )


def _without(found: tuple[BiasBeforeNorm, ...], layers: Layers | None) -> tuple[Change, ...]:
    """On every line that builds such a layer; none if one of them builds others too, whose bias has an effect."""
    mine, places = {each.layer for each in found}, {each.location for each in found}
    others = {each.location for each in layers.affine if each.name not in mine} if layers is not None else places
    if None in places or places & others:
        return ()
    ordered = dict.fromkeys(each.location for each in found)
    return tuple(SetArgument("bias", "False", at=place, of=KINDS) for place in ordered)
