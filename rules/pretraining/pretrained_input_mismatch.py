from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, Location, NotApplicable, Severity
from dnndoctor.measurements import Architecture, LearnedStatistics, Origins, TrainingData
from dnndoctor.rule import rule


@rule("PRE102", Severity.WARNING, practice="pretraining")
def pretrained_input_mismatch(origins: Origins, data: TrainingData | None, *, times: float = 6.0) -> Iterator[Finding]:
    """Pretrained weights are given inputs that are scaled in another way than those they were trained on.

    What it measures
        Of a model with loaded weights: what enters its first batch norm at the first call, against the mean and the
        variance that this norm has learned. Of a published image model with published statistics also the range of
        its images: once normalised, some value lies below zero.

    Why it matters
        Every loaded filter was fitted to inputs of one scale. At another, the units behind it see numbers that they
        never met, and what the weights know is lost or has to be learned anew.

    How to fix it
        Normalise the inputs as in the pretraining, with its mean and standard deviation.

    When to ignore it
        The new inputs differ that much by their nature, and were scaled as in the pretraining.

    References
        torchvision documentation, Models and pre-trained weights: images in [0, 1], then mean and std.
        Li et al. 2016, Revisiting Batch Normalization for Practical Domain Adaptation, section 3.1.
        times: 6.0, measured on digits: other digits, one class alone, inverted, at half contrast or blurred stay within
        5.6 times, standardised where 0 to 1 is expected lie 6.8 to 9 times off, 0 to 16 there 128 to 250 times.
    """
    raw = [each for each in origins.architectures if each.loaded and _never_normalised(each)]
    off = [each for each in origins.first_norms if not 1 / times <= each.ratio <= times]
    comparable = any(each.loaded and each.expected_mean and each.low is not None for each in origins.architectures)
    if not comparable and not origins.first_norms:
        raise NotApplicable("no loaded weights tell what inputs they were trained on")
    inputs = data.role("input") if data is not None else ()
    place = inputs[0].location if inputs else None
    if raw:
        yield _raw_images(raw[0], place)
    elif off:
        yield _other_scale(off[0], place)


def _never_normalised(model: Architecture) -> bool:
    return bool(model.expected_mean) and model.low is not None and model.low >= 0 and bool(model.std)


def _raw_images(model: Architecture, place: Location | None) -> Finding:
    mean, std = (", ".join(f"{each:g}" for each in values) for values in (model.expected_mean, model.expected_std))
    return Finding(
        f"{model.name} has pretrained weights for normalised images, and its images lie between {model.low:.3g} "
        f"and {model.high:.3g}",
        location=place or model.location,
        subject=model.name,
        evidence=(Evidence("mean", model.mean or 0.0, 0.0), Evidence("standard deviation", model.std or 0.0, 1.0)),
        fix=Fix(
            "normalise the images as the weights know them",
            "Images then have mean 0 and standard deviation 1 as in the pretraining.",
            f"transforms.Normalize(mean=[{mean}], std=[{std}])  # after scaling to 0..1",
        ),
    )


def _other_scale(norm: LearnedStatistics, place: Location | None) -> Finding:
    more = f"{norm.ratio:.3g} times" if norm.ratio > 1 else f"one {1 / norm.ratio:.3g}th of"
    return Finding(
        f"what enters {norm.name} has {more} the variance that its pretrained statistics hold (median of "
        f"{norm.channels} channels): the inputs are scaled in another way than in the pretraining",
        location=place,
        subject=norm.name,
        evidence=(
            Evidence("variance over the learned one", norm.ratio, 1.0),
            Evidence("shift of the mean in learned standard deviations", norm.shift, 0.0),
        ),
        fix=Fix(
            "scale the inputs as in the pretraining",
            f"About a factor of {norm.ratio**0.5:.3g} in the inputs' scale, by the first norm's statistics.",
            "x = (x - mean) / std  # the mean and the standard deviation of the pretraining's inputs",
        ),
    )
