import math
from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotExamined, Severity
from dnndoctor.measurements import Loaders, TrainingNoise
from dnndoctor.rule import rule


@rule("GRD105", Severity.INFO, practice="gradients")
def gradient_noise_dominates(
    noise: TrainingNoise, loaders: Loaders | None, *, times: float = 10.0
) -> Iterator[Finding]:
    """The gradient of one batch is mostly noise.

    What it measures
        After a few dozen steps the parameters stand still, and the gradients of up to 16 batches are compared on a
        sample of their entries. Their variance over their squared mean is the noise scale: the batch size at which
        noise and gradient are of one size. Its lower bound (two jackknife standard errors) is judged.

    Why it matters
        Far below the noise scale twice the batch does the work of two steps: on hardware that passes a larger batch in
        the same time, it is for free.

    How to fix it
        Take larger batches, or accumulate gradients over several.

    When to ignore it
        Samples are few, or noise is wanted: it also regularises. On a CPU larger batches cost in proportion.

    References
        McCandlish et al. 2018, An Empirical Model of Large-Batch Training, section 2.2 and appendix A.1.
        times: 10.0, this project's choice: batches; McCandlish et al. 2018, section 2.3, call 1 the turning point.
    """
    if noise.scale is None or noise.scale_low is None:
        raise NotExamined(noise.unscaled or "the gradients of several batches were not compared")
    if not math.isfinite(noise.scale_low):
        raise NotExamined("the gradient did not stand clear of its noise: nothing was being learned")
    if noise.scale_low <= times * noise.batch_size:
        return
    size = noise.batch_size
    yield Finding(
        f"the gradient's noise scale is at least {noise.scale_low:.0f} samples, {noise.scale_low / size:.0f} times "
        f"the batch of {size}",
        location=loaders.batch_location if loaders is not None else None,
        evidence=(Evidence("noise scale", noise.scale_low, None, "samples"), Evidence("batch size", size)),
        fix=Fix(
            "take larger batches or accumulate gradients",
            f"Up to about {noise.scale_low:.0f} samples a step gains nearly in proportion to the batch.",
        ),
    )
