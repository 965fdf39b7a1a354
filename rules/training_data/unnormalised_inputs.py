from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, Severity
from dnndoctor.measurements import DataTensor, Layers, TrainingData, Weights
from dnndoctor.rule import rule
from dnndoctor.rules.training_data.scale import feature_spread, judged_inputs, rescaled_inside, same_cause

REMOVE_THE_MEAN = ("batch_norm", "instance_norm")


@rule("DAT110", Severity.WARNING, practice="training-data")
def unnormalised_inputs(
    data: TrainingData,
    layers: Layers | None,
    weights: Weights | None,
    *,
    largest_std: float = 10.0,
    largest_offset: float = 3.0,
    largest_spread: float = 100.0,
) -> Iterator[Finding]:
    """The inputs are far from zero mean and unit scale, or their features from one another's.

    What it measures
        Mean and standard deviation of the float inputs over the watched batches, and of each continuous feature
        (more than 16 distinct values) of tables: the largest against the lower quartile of them. A first layer whose
        output goes straight into a norm may have inputs of any scale, and into batch or instance norm of any mean.

    Why it matters
        The curvature of the loss along a weight grows with the square of its input. One rate then cannot suit
        all weights: the largest feature sets it, the others hardly learn; units saturate at the first step.

    How to fix it
        Subtract the mean and divide by the standard deviation of the training split; the same for new data.

    When to ignore it
        The model normalises its input itself in a way that was not recognised.

    References
        LeCun, Bottou, Orr and Mueller 1998, Efficient BackProp, section 4.3: normalizing the inputs.
        largest_std: 10.0, measured on 6 data sets: digits in 0-16 have 6.0 and train well as they are, raw tables
        60 to 228; images in 0-255 have about 70.
        largest_offset: 3.0, this project's choice, and only where |mean| > largest_std too.
        largest_spread: 100.0, measured on 7 data sets: at most 16 on sound ones (principal components of digits),
        550 and more on raw wine and breast cancer.
    """
    inputs = judged_inputs(data.role("input"))
    if not inputs:
        raise NotApplicable("the model takes no float inputs")
    if data.first_layer in ("norm", "embedding"):
        raise NotApplicable(f"the model's first layer is of the kind {data.first_layer}")
    told: list[DataTensor] = []
    for tensor in inputs:
        top, low = feature_spread(tensor)
        uneven = low > 0 and top > largest_spread * low and top > largest_std
        offset = abs(tensor.mean) > max(largest_offset * tensor.std, largest_std)
        large = tensor.std > largest_std and data.first_norm is None
        offset = offset and data.first_norm not in REMOVE_THE_MEAN
        if not (uneven or offset or large) or rescaled_inside(tensor, layers, weights):
            continue
        if any(same_cause(tensor, each) for each in told):
            continue
        told.append(tensor)
        scale = f"the {tensor.name} has mean {tensor.mean:.3g} and standard deviation {tensor.std:.3g}"
        spread = f"; its features' deviations differ {top / low:.3g}-fold" if uneven else ""
        figures = (Evidence("mean", tensor.mean, 0.0), Evidence("std", tensor.std, 1.0))
        yield Finding(
            scale + spread,
            location=tensor.location,
            subject=tensor.name,
            evidence=(*figures, Evidence("feature spread", top / low, largest_spread)) if uneven else figures,
            fix=Fix(
                "standardise the inputs with the training split's mean and deviation",
                f"Takes mean {tensor.mean:.3g} and deviation {tensor.std:.3g} to 0 and 1: one rate suits all weights.",
                _code(tensor),
            ),
        )


def _code(tensor: DataTensor) -> str:
    if not tensor.feature_std.size:
        return f"x = (x - {tensor.mean:.4g}) / {tensor.std:.4g}"
    mean, std = (", ".join(f"{v:.3g}" for v in row[:3]) for row in (tensor.feature_mean, tensor.feature_std))
    return f"mean = x_train.mean(0)  # {mean}, ...\nstd = x_train.std(0)  # {std}, ...\nx = (x - mean) / (std + 1e-8)"
