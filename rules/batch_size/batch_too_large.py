from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dnndoctor.changes import SetArgument
from dnndoctor.findings import Evidence, Finding, Fix, NotExamined, Severity
from dnndoctor.measurements import Loaders, Run, Steps, TrainingNoise
from dnndoctor.rule import rule


@rule("BAT103", Severity.WARNING, practice="batch-size")
def batch_too_large(
    noise: TrainingNoise,
    loaders: Loaders,
    steps: Steps,
    run: Run,
    *,
    times: float = 4.0,
    updates: int = 20,
    samples: int = 500,
    falling: float = 0.1,
) -> Iterator[Finding]:
    """The batch is so large that an epoch has only a few updates.

    What it measures
        The gradient noise scale: the batch size beyond which a larger batch hardly improves an update. Reported is a
        batch of several times that, or of all samples at once, where an epoch is left with few updates. It is a
        warning where the whole run was seen and its loss was still falling at the end; else it is information.

    Why it matters
        Beyond the noise scale twice the samples buy next to nothing, so a run of a fixed number of epochs makes fewer
        updates of the same quality, and stops before it has learned what it could.

    How to fix it
        Take a batch near the noise scale, and lower the rate with it, or train for more epochs.

    When to ignore it
        A second-order method, or a graph or an equation that has no batches. With enough epochs nothing is lost.

    References
        McCandlish et al. 2018, An Empirical Model of Large-Batch Training, sections 2.2 and 2.3.
        times: 4.0, McCandlish et al. 2018, equation 2.7: at 4 noise scales a step gains 80 % of what is to be gained.
        updates: 20, this project's choice: updates per epoch, from which on epochs are no scarce good.
        samples: 500, this project's choice: data sets below it may well be taken at once.
        falling: 0.1, this project's choice: of all that the loss fell, in the last third of a run: it was cut short.
    """
    size = noise.batch_size or loaders.batch_size * loaders.accumulation
    length = loaders.dataset_length
    whole = noise.batch_size == 0 if length is None else size >= length
    if noise.scale_high is None and not whole:
        raise NotExamined(noise.unscaled or "the gradients of several batches were not compared")
    if (length or size) < samples:
        return
    if not whole and (noise.scale_high is None or size <= times * noise.scale_high):
        return
    if not whole and (length is None or length >= updates * size):
        return
    cut_short = run.whole and _still_falling(steps.loss, falling)
    scale = None if whole else noise.scale  # which needs batches that differ
    what = "all of them at once" if whole else f"{size / (scale or size):.0f} noise scales"
    told = f" and after its {run.steps} updates the loss was still falling" if cut_short else ""
    updates_made = -(-(length or size) // size)
    best = max(int(2 ** round(np.log2(max(scale or size / updates, 8)))), 8)
    yield Finding(
        f"a batch of {size} samples is {what}: an epoch has {updates_made} update{'s' * (updates_made > 1)}{told}",
        location=loaders.batch_location,
        subject=loaders.training.dataset if loaders.training else None,
        evidence=(
            Evidence("batch size", size, best),
            *((Evidence("noise scale", scale, None, "samples"),) if scale else ()),
        ),
        fix=Fix(
            f"take batches of about {best}",
            f"{size // best} times as many updates from the same samples; lower the learning rate with the batch.",
            f"batch_size={best}",
            (SetArgument("batch_size", str(best), position=1, unless=("batch_sampler",), of=("DataLoader",)),),
        ),
        severity=Severity.WARNING if cut_short else Severity.INFO,
    )


def _still_falling(loss: NDArray[np.float64], share: float) -> bool:
    third = len(loss) // 3
    if third < 2 or not np.isfinite(loss).all():
        return False
    fell = float(np.median(loss[-2 * third : -third]) - np.median(loss[-third:]))
    return fell > share * float(loss.max() - loss.min())
