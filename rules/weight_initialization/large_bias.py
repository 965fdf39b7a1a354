from collections.abc import Iterator
from itertools import pairwise

from dnndoctor.findings import Evidence, Finding, Fix, Location, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import Layer, Layers, Parameter, Run, Weights
from dnndoctor.rule import rule
from dnndoctor.rules.naming import attribute


@rule("INI107", Severity.INFO, practice="weight-initialization")
def large_bias(
    layers: Layers, weights: Weights, run: Run | None, *, ratio: float = 1.0, default: float = 1.5, lost: float = 1e-2
) -> Iterator[Finding]:
    """The initial biases of a hidden layer are larger than what its weights make of the input.

    What it measures
        The size (root mean square) of a layer's biases before the first step against the standard deviation of its
        output across samples; only where the biases are larger than PyTorch's own. The output layer (a base rate),
        gates, recurrent layers (a forget gate's 1), layers before a norm and loaded biases are left out. It is a
        warning where the layer behind gets nothing of the signal.

    Why it matters
        The bias then decides what a unit does, and not the sample: with a ReLU it is off, or on, for all of them.

    How to fix it
        Start biases at zero.

    When to ignore it
        The offset is meant, for instance to keep units in a linear range.

    References
        Glorot & Bengio 2010, section 2.3: biases start at 0; Goodfellow et al. 2016, section 8.4, for exceptions.
        ratio: 1.0, arithmetic: from there on the bias moves a unit further than samples do.
        lost: 0.01, as for forward-variance-drift: what is left of the signal in the next layer.
        default: 1.5, PyTorch documentation, torch.nn.Linear: biases lie within 1 / sqrt(fan_in).
    """
    if run is not None and run.pretrained:
        raise NotApplicable("the weights were loaded")
    judged = [
        (layer, bias)
        for layer in layers.hidden
        if not layer.normalized
        and layer.weight.endswith("weight")
        and (bias := weights.named(f"{layer.weight.removesuffix('weight')}bias")) is not None
        and bias.drawn
        and bias.trainable
        and not bias.loaded
    ]
    if not judged:
        raise NotApplicable("no hidden layer with a bias of its own")
    if all(layer.unit_std is None for layer, _ in judged):
        raise NotExamined("the signal through the layers was not seen")
    lines: dict[Location | None, list[tuple[float, Layer, Parameter]]] = {}
    for layer, bias in judged:
        size = (bias.mean**2 + bias.std**2) ** 0.5
        if layer.unit_std and size > ratio * layer.unit_std and bias.max_abs > default * layer.fan_in**-0.5:
            lines.setdefault(bias.location, []).append((size / layer.unit_std, layer, bias))
    behind = {layer.name: after for layer, after in pairwise(layers.affine)}
    for group in lines.values():
        worst = max(group, key=lambda each: each[0])
        gone = any(_lost(layer, behind.get(layer.name), lost) for _, layer, _ in group)
        yield _finding(*worst, len(group), Severity.WARNING if gone else None)


def _lost(layer: Layer, after: Layer | None, share: float) -> bool:
    """Whether hardly anything of the signal is left in the next layer."""
    left = after.unit_std if after else None
    return left is not None and left < share * (layer.unit_std or 0.0)


def _finding(times: float, layer: Layer, bias: Parameter, count: int, severity: Severity | None) -> Finding:
    size, many = (bias.mean**2 + bias.std**2) ** 0.5, f" (the worst of {count} on this line)" if count > 1 else ""
    return Finding(
        f"the biases of {layer.name}{many} start at {size:.2g}, {times:.2g} times what its outputs vary by from sample "
        "to sample",
        location=bias.location or layer.location,
        subject=bias.name,
        evidence=(Evidence("size of the biases", size, 0.0), Evidence("std across samples", layer.unit_std or 0.0)),
        fix=Fix(
            "start the biases at zero",
            f"The sample then decides what the {bias.size} units do, and not an offset.",
            f"nn.init.zeros_({attribute(layer.name)}.bias)",
        ),
        severity=severity,
    )
