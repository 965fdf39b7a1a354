from collections.abc import Iterator

import numpy as np

from dnndoctor.changes import SetArgument
from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import Clipping, LearningRateSweep, Optimizers
from dnndoctor.rule import rule
from dnndoctor.rules.learning_rate.sweep_reading import NO_FALLING_LOSS, learns, own_progress, suggestion

SENSITIVE = ("SGD", "ASGD", "updates by hand")  # their step is proportional to the gradient


@rule("GRD104", Severity.WARNING, practice="gradients", not_for=NO_FALLING_LOSS)
def clipping_too_hard(
    clipping: Clipping | None,
    optimizers: Optimizers,
    sweep: LearningRateSweep | None,
    *,
    share: float = 0.5,
    times: float = 10.0,
    harmed: float = 0.33,
    factor: float = 3.0,
    fewest: int = 10,
    noises: float = 3.0,
    progress_share: float = 0.05,
) -> Iterator[Finding]:
    """Gradient clipping shrinks nearly every step, and training is the slower for it.

    What it measures
        The gradient norm before each clipping against its limit: the share of steps that are clipped and the median
        factor by which they shrink. It is a warning where the learning-rate sweep shows harm: an optimizer whose step
        is proportional to the gradient makes less than a third of the progress that a rate several times higher makes.
        Where no harm was measured, more than ten times in the median is a remark: a high rate with a low limit
        is a sound pair, and adaptive optimizers undo a constant factor.

    Why it matters
        If every step is clipped, the limit sets the step's length, and the gradient's size no longer counts.

    How to fix it
        Set the limit near the 90th percentile of the measured norm, so that it acts on outliers only.

    When to ignore it
        Rate and limit were tuned together.

    References
        Pascanu, Mikolov & Bengio 2013, On the difficulty of training recurrent neural networks, section 3.2: the
        threshold is chosen by the average norm over a sufficiently large number of updates.
        share: 0.5, Pascanu et al. 2013, section 3.2: half to ten times the average norm works.
        times: 10.0, Pascanu et al. 2013, section 3.2, and word-language models with a limit of 0.25 that train well.
        harmed: 0.33, this project's choice: of the best rate's progress.
        factor: 3.0, this project's choice: times by which the better rate is higher.
        fewest: 10, this project's choice: clippings that were watched.
        noises: 3.0, this project's choice: standard deviations of a score that count as progress.
        progress_share: 0.05, this project's choice: of the loss at the start that counts as progress.
    """
    if clipping is None:
        raise NotApplicable("the gradient norm is not clipped")
    good = np.isfinite(clipping.norm) & (clipping.limit > 0)
    if good.sum() < fewest:
        raise NotExamined(f"{good.sum()} clippings were watched")
    ratio = clipping.norm[good] / clipping.limit[good]
    clipped, median = float((ratio > 1).mean()), float(np.median(ratio))
    if clipped <= share:
        return
    slow = (
        optimizers.main.name in SENSITIVE
        and sweep is not None
        # Where every step is cut to a trifle, the rates of the sweep show only the first of what there is to gain.
        and learns(sweep, noises, progress_share if median <= times else 0.0)
        and own_progress(sweep) < harmed * sweep.progress
        and suggestion(sweep)[0] >= factor * sweep.user_rate
    )
    if not slow and median <= times:
        return
    usual = float(np.percentile(clipping.norm[good], 90))
    harm = f", and a rate of {suggestion(sweep)[0]:.2g} learns more" if slow and sweep is not None else ""
    yield Finding(
        f"clipping shrinks {clipped:.0%} of the steps, by {median:.2g} times in the median{harm}",
        location=clipping.location,
        evidence=(
            Evidence("share of clipped steps", clipped, share),
            Evidence("norm over limit, median", median, 1.0),
            Evidence("90th percentile of the norm", usual),
        ),
        fix=Fix(
            f"Raise the limit to {usual:.2g}",
            "One step in ten is then clipped, and the others keep their length.",
            f"max_norm={usual:.2g}",
            (SetArgument("max_norm", f"{usual:.2g}", position=1, of=("clip_grad_norm_",)),),
        ),
        severity=None if slow else Severity.INFO,
    )
