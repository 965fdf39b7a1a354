from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import Layer, Layers, Optimizers, Parameter, Weights
from dnndoctor.rule import rule
from dnndoctor.rules.naming import attribute
from dnndoctor.rules.weight_initialization.redrawing import redrawn
from dnndoctor.rules.weight_initialization.scale import grouped


@rule("INI101", Severity.ERROR, practice="weight-initialization")
def symmetric_weights(
    layers: Layers, weights: Weights, optimizers: Optimizers | None = None, *, fewest_inputs: int = 2
) -> Iterator[Finding]:
    """All units of a layer start with the same weights, so that they all learn the same.

    What it measures
        Weight matrices whose rows are identical before the first step, constant and all-zero ones included. Left out:
        the output layer, residual branches, gates, parametrized (low-rank adapters), loaded and frozen weights,
        depthwise convolutions, and a single zero layer that no activation follows (the end of a branch).

    Why it matters
        Equal units get equal gradients: a layer of any width then learns what one unit could. All-zero layers before
        a ReLU get none at all.

    How to fix it
        Draw the weights at random; biases may start at zero.

    When to ignore it
        A method that starts from a constant on purpose.

    References
        Goodfellow, Bengio & Courville 2016, Deep Learning, section 8.4: breaking the symmetry.
        fewest_inputs: 2, arithmetic: weights of one input are equal up to their size.
    """
    judged = [
        (layer, weight)
        for layer in layers.layers
        if layer.kind in ("linear", "conv", "recurrent")
        and (weight := weights.named(layer.weight)) is not None
        and (weight.fan_in or 0) >= fewest_inputs
        and weight.shape[0] > 1
    ]
    if not judged:
        raise NotApplicable("no layer with more than one unit and input")
    if not any(weight.drawn for _, weight in judged):
        raise NotExamined("the weights were not seen before the first step")
    same = [(layer, weight) for layer, weight in judged if weight.identical_rows or weight.constant]
    found = [(layer, weight) for layer, weight in same if not _sound(layer, weight, alone=len(same) == 1)]
    lines: dict[object, list[tuple[Layer, Parameter]]] = {}
    for layer, weight in found:
        place = weight.location or layer.location
        lines.setdefault((place.file, place.line) if place else None, []).append((layer, weight))
    for group in lines.values():
        yield _finding(group, optimizers)


def _finding(found: list[tuple[Layer, Parameter]], optimizers: Optimizers | None) -> Finding:
    layer, weight = found[0]
    what = "all zero" if weight.max_abs == 0 else f"all {weight.mean:.3g}" if weight.constant else "identical rows"
    many = f", and so are those of {len(found) - 1} more here" if len(found) > 1 else ""
    return Finding(
        f"the initial weights of {layer.name} are {what}{many}: its {weight.shape[0]} units all learn the same",
        location=weight.location or layer.location,
        subject=weight.name,
        evidence=(
            Evidence("std of the weights", weight.std, layer.fan_in**-0.5),
            Evidence("layers with equal units", len(found), 0),
        ),
        fix=Fix(
            "Initialise the weights at random",
            "Each unit then starts from another place and learns something else.",
            f"nn.init.kaiming_normal_({attribute(layer.name)}.weight)",
            redrawn(found, optimizers) if layer.kind != "recurrent" else (),
        ),
    )


def _sound(layer: Layer, weight: Parameter, *, alone: bool) -> bool:
    branch_end = alone and layer.activation is None and layer.kind != "recurrent"
    exempt = layer.residual or layer.gate or layer.output or branch_end
    return exempt or weight.loaded or weight.parametrized or not weight.trainable or grouped(layer, weight)
