"""What a weight's initial standard deviation should be, and whether the signal is off its size."""

from dataclasses import dataclass
from itertools import zip_longest
from math import sqrt

from dnndoctor.measurements import Layer, Layers, Parameter, Weights

RECTIFIERS = ("relu", "relu6", "leaky_relu", "prelu", "elu", "gelu", "silu", "softplus", "mish", "celu", "threshold")
HOMOGENEOUS = (None, "relu", "leaky_relu", "prelu")  # what is twice as large goes out twice as large
NORM_FLOOR = 3e-3  # the root of a norm layer's usual epsilon: below it a norm no longer restores the signal
FEWEST_WEIGHTS = 32  # the standard deviation of fewer is known to no better than an eighth


@dataclass(frozen=True, slots=True)
class Scaled:
    """A layer with its weight, the weight's target and how many times above (or, below 1, under) it lies."""

    layer: Layer
    weight: Parameter
    target: float
    ratio: float


def target_std(layer: Layer) -> float:
    """Glorot for tanh (4 times that for sigmoid), He for rectifiers, 1/sqrt(fan_in) for linear outputs."""
    glorot = sqrt(2 / (layer.fan_in + layer.fan_out))
    if layer.activation == "sigmoid":
        return 4 * glorot
    if layer.activation in ("tanh", "softsign"):
        return glorot
    gain = 2.0 if layer.activation in RECTIFIERS else 1.0
    return sqrt(gain / layer.fan_in)


def off_scale(layers: Layers, weights: Weights, factor: float) -> list[Scaled]:
    """The layers whose weights are off their target by more than ``factor``, and whose scale matters."""
    uses = [each.weight for each in layers.layers]
    found = []
    for layer, after in zip_longest(layers.affine, layers.affine[1:]):
        weight = weights.named(layer.weight)
        if weight is None or uses.count(layer.weight) > 1 or _exempt(layer, weight) or _restored(layer, after):
            continue
        target = target_std(layer)
        # Without Glorot's factor of 4 a sigmoid layer is sound as well, so it has a band for its target.
        low, high = (
            (target / 4 / factor, target * 1.1) if layer.activation == "sigmoid" else (target / factor, target * factor)
        )
        if not low <= weight.std <= high:
            found.append(Scaled(layer, weight, target, weight.std / target))
    return found


def _restored(layer: Layer, after: Layer | None) -> bool:
    """Whether the norm behind the next layer takes the scale out again, as behind a discriminator's first layer."""
    if after is None or not after.normalized or after.unit_std is None:
        return False
    return layer.activation in HOMOGENEOUS and after.unit_std > NORM_FLOOR and not layer.residual


def grouped(layer: Layer, weight: Parameter) -> bool:
    """Whether each output of a convolution sees only a part of its inputs (depthwise)."""
    return layer.kind == "conv" and "Transpose" not in weight.module_class and weight.shape[1] < layer.inputs


def _exempt(layer: Layer, weight: Parameter) -> bool:
    default = (3 * layer.fan_in) ** -0.5
    return (
        weight.kind != "weight"
        or weight.loaded
        or weight.parametrized
        or not weight.drawn
        or weight.constant
        or not weight.trainable
        or weight.size < FEWEST_WEIGHTS
        or layer.gate
        or layer.normalized
        or layer.residual
        or grouped(layer, weight)
        or abs(weight.std / default - 1) < 0.1
    )
