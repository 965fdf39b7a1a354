"""Each layer's initial standard deviation against what its fan-in, fan-out and activation ask for."""

import math
from dataclasses import dataclass

from dnndoctor.measurements import Layer, Layers, Weights
from dnndoctor.reports.html.figures import rows
from dnndoctor.reports.html.figures.chart import Scale, brief, chosen, cross, dot, drawing, finite, line, text, x_axis
from dnndoctor.reports.html.figures.figure import Figure, Measurements, highlighted, taken
from dnndoctor.reports.words import figure as number

TITLE = "Initial weights against their target"
RECTIFIERS = (
    "relu",
    "relu6",
    "leaky_relu",
    "prelu",
    "rrelu",
    "elu",
    "celu",
    "gelu",
    "silu",
    "swish",
    "mish",
    "hardswish",
    "softplus",
)


@dataclass(frozen=True, slots=True)
class Drawn:
    """One layer: the deviation that its weights had, and the one that they should have had."""

    name: str
    activation: str
    std: float
    target: float
    flagged: bool

    @property
    def factor(self) -> float:
        """How far apart the two are; infinite for weights that are all equal."""
        if not (self.std > 0 and self.target > 0):
            return math.inf
        return max(self.std / self.target, self.target / self.std)


def target_std(layer: Layer) -> float:
    """Glorot and Bengio 2010 for tanh, 4 times that for sigmoid; He et al. 2015 for rectifiers; else sqrt(1/fan_in)."""
    fan_in, fan_out = max(layer.fan_in, 1), max(layer.fan_out, 1)
    glorot = math.sqrt(2 / (fan_in + fan_out))
    if layer.activation in ("tanh", "softsign", "hardtanh"):
        return glorot
    if layer.activation in ("sigmoid", "hardsigmoid"):
        return 4 * glorot
    return math.sqrt((2 if layer.activation in RECTIFIERS else 1) / fan_in)


def draw(measurements: Measurements, flagged: frozenset[str]) -> Figure | None:
    """None where layers or weights were not seen."""
    layers, weights = taken(measurements, Layers), taken(measurements, Weights)
    if layers is None or weights is None:
        return None
    found = _rows(layers, weights, flagged)
    if not found:
        return None
    drawn = [found[i] for i in chosen(len(found), [i for i, each in enumerate(found) if each.flagged])]
    caption = _caption(found) + rows.left_out(len(drawn), len(found))
    return Figure(
        "figure-initialization",
        TITLE,
        caption,
        drawing("figure-initialization", rows.height(len(drawn)), TITLE, caption, _body(drawn)),
        ("layer", "activation", "measured", "target"),
        tuple((each.name, each.activation, number(each.std), number(each.target)) for each in found),
        frozenset({"weight-initialization"}),
        frozenset({Layers, Weights}),
    )


def _rows(layers: Layers, weights: Weights, flagged: frozenset[str]) -> list[Drawn]:
    found: dict[str, Drawn] = {}
    for layer in layers.affine:
        parameter = weights.named(layer.weight)
        if parameter is None or layer.weight in found:
            continue
        marked = highlighted(layer.name, flagged) or layer.weight in flagged
        activation = layer.activation or ("output" if layer.output else "none")
        found[layer.weight] = Drawn(layer.name, activation, float(parameter.std), target_std(layer), marked)
    return list(found.values())


def _caption(found: list[Drawn]) -> str:
    worst = max(found, key=lambda each: each.factor if not math.isnan(each.factor) else 0.0)
    if not math.isfinite(worst.factor):
        return f"The weights of {worst.name} are all equal."
    if worst.factor < 2:
        return "Every layer's weights lie within twice their target."
    way = "above" if worst.std > worst.target else "below"
    times = brief(worst.factor, 2)
    return (
        f"Furthest off: {worst.name}, {number(worst.std)}, is {times} times {way} its target of {number(worst.target)}."
    )


def _body(drawn: list[Drawn]) -> list[str]:
    bottom = rows.bottom(len(drawn))
    values = [value for each in drawn for value in (each.std, each.target)]
    x = Scale.fit(finite(values, log=True), rows.LEFT, rows.RIGHT, log=True)
    body = [
        text("dot: measured, upright: target for the fans and the activation", 8, 16, "label"),
        x_axis(x, bottom, "standard deviation of the weights (logarithmic)", rows.TOP),
        *rows.names([each.name for each in drawn], [each.flagged for each in drawn]),
    ]
    for row, each in enumerate(drawn):
        y, at = rows.middle(row), x(each.target)
        kind = " flagged" if each.flagged else ""
        body.append(line(at, y - 7, at, y + 7, "target"))
        if each.std > 0:
            hint = f"{each.name}: {number(each.std)}, target {number(each.target)}"
            body += [line(at, y, x(each.std), y, f"range{kind}"), dot(x(each.std), y, hint, f"dot{kind}")]
        else:
            body.append(cross(rows.LEFT, y, f"{each.name}: {number(each.std)}"))
    return body
