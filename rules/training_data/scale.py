"""How far an input tensor is from the scale that networks are initialised for."""

import numpy as np

from dnndoctor.measurements import DataTensor, Layers, Weights

MANY_VALUES = 16  # a feature with more distinct values than this is taken as continuous
MASK_FLOOR = -1e4  # additive attention masks lie between this or less and zero


def judged_inputs(tensors: tuple[DataTensor, ...]) -> list[DataTensor]:
    """The float inputs that carry samples: no masks, and no scalar (a time, a weight) beside a wider input."""
    found = [
        each
        for each in tensors
        if each.kind == "float"
        and each.std > 0
        and np.isfinite([each.mean, each.std]).all()
        and not (each.low <= MASK_FLOOR and each.high == 0)
    ]
    wide = [each for each in found if _width(each) > 1]
    return wide or found


def feature_spread(tensor: DataTensor) -> tuple[float, float]:
    """Largest and lower-quartile standard deviation of the continuous features; (0, 0) where there are none.

    The quartile, as the smallest is often next to constant: the last of a set of principal components.
    """
    if tensor.spatial or not tensor.feature_std.size:
        return 0.0, 0.0
    stds = tensor.feature_std[(tensor.feature_distinct > MANY_VALUES) & (tensor.feature_std > 0)]
    if stds.size < 2:
        return 0.0, 0.0
    return float(stds.max()), float(np.percentile(stds, 25, method="lower"))


def rescaled_inside(tensor: DataTensor, layers: Layers | None, weights: Weights | None) -> bool:
    """Whether the model scales its input down itself (``x / 255`` in its forward pass).

    For random weights a unit's variance is fan_in * weight variance * mean input variance, however the inputs
    correlate; a first layer that sees less than a tenth of that standard deviation was not fed this tensor as it is.
    """
    first = next((each for each in layers.affine if each.first), None) if layers else None
    weight = weights.named(first.weight) if first and weights else None
    if first is None or weight is None or first.unit_std is None:
        return False
    spread = float(np.sqrt(np.mean(tensor.feature_std**2))) if tensor.feature_std.size else tensor.std
    return bool(first.unit_std < 0.1 * spread * weight.std * first.fan_in**0.5)


def same_cause(one: DataTensor, other: DataTensor) -> bool:
    """Whether two inputs are of one kind and come from one place, as the pair of a siamese network: within a tenth."""
    scale = 0.1 * max(abs(other.mean), other.std)
    alike = abs(one.mean - other.mean) < scale and abs(one.std - other.std) < scale
    return alike and one.location == other.location and one.shape[1:] == other.shape[1:]


def _width(tensor: DataTensor) -> int:
    return int(np.prod(tensor.shape[1:])) if len(tensor.shape) > 1 else 1
