from collections.abc import Iterator

import numpy as np

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import LearningRateSweep, Losses, OneBatch, Optimizers, Run, Steps
from dnndoctor.rule import rule
from dnndoctor.rules.learning_rate.sweep_reading import learns, swept_optimizer, watched_progress

NEED_NOT_FALL = {
    "gan": "in adversarial training the loss need not fall: two networks work against each other",
    "reinforcement": "in reinforcement learning the loss need not fall: it is no measure of the reward",
    "contrastive": "a contrastive loss falls late, when the negatives are told apart",
    "diffusion": "the noise level that is drawn decides over the loss of a batch",
}


@rule("LOS107", Severity.WARNING, practice="loss", not_for=NEED_NOT_FALL)
def loss_not_decreasing(
    steps: Steps,
    sweep: LearningRateSweep,
    optimizers: Optimizers,
    losses: Losses | None,
    one: OneBatch | None,
    run: Run | None,
    *,
    noises: float = 3.0,
    share: float = 0.02,
    fewest_steps: int = 30,
    floor: float = 0.2,
) -> Iterator[Finding]:
    """The loss does not fall, at your learning rate or at any other that was tried.

    What it measures
        The slope of the loss over the watched steps (the median of the slopes between all pairs of steps), and the
        learning-rate sweep: no rate brings the loss down clear of its noise. It is a warning where the model does not
        learn one single batch by heart either, so that the program is at fault; else a remark, as for labels that
        have nothing to do with the inputs, or a task that takes longer than the probe. A loss at its floor and weights
        that were loaded are not judged.

    Why it matters
        Nothing is learnt, and more steps will not help.

    How to fix it
        Mend the findings that are listed as its cause. If there are none, see whether inputs and targets fit together.

    When to ignore it
        The labels are random on purpose, or progress is known to set in late.

    References
        Sen 1968, Estimates of the Regression Coefficient Based on Kendall's Tau: the median of pairwise slopes.
        Zhang et al. 2017, Understanding deep learning requires rethinking generalization: even random labels are learnt
        by heart.
        noises: 3.0, this project's choice: standard deviations of a score that count as progress.
        share: 0.02, this project's choice: of the loss at the start that counts as progress.
        fewest_steps: 30, this project's choice: watched steps.
        floor: 0.2, this project's choice: times the loss of a constant guess, under which the loss is at its floor.
    """
    swept_optimizer(sweep, optimizers)
    if run is not None and run.pretrained:
        raise NotApplicable("the weights were loaded, and may be at their best already")
    loss = steps.loss[:50][np.isfinite(steps.loss[:50])]
    if loss.size < fewest_steps or not np.isfinite(sweep.start):
        raise NotExamined(f"only {loss.size} steps with a finite loss were watched")
    main = losses.main if losses is not None else None
    guess = main.best_constant if main is not None and main.plain else None
    if abs(sweep.start) < 1e-6 or (guess is not None and sweep.start < floor * guess):
        raise NotApplicable("the loss is at its floor")
    size = abs(sweep.start)
    fallen = -_slope(loss) * loss.size
    if learns(sweep, noises, share) or fallen > share * size or watched_progress(steps) > share * size:
        return
    deaf = one is not None and not any(each.learned for each in one.trials) and _stays(one, share)
    told = ", and one batch is not learnt by heart either" if deaf else ""
    yield Finding(
        f"the loss stays at {float(np.median(loss)):.3g} over {loss.size} steps, and none of {len(sweep.rates)} "
        f"rates brings it below {sweep.best_score:.3g}{told}",
        location=steps.location,
        evidence=(
            Evidence("loss at the start", sweep.start),
            Evidence("loss at the best rate", sweep.best_score, sweep.start * (1 - share)),
            Evidence("fall over the watched steps", float(fallen), share * size),
        ),
        fix=Fix(
            "Mend the findings above; else look whether inputs and targets belong together",
            f"A loss that starts at {sweep.start:.3g} and does not move has a cause ahead of the optimizer.",
        ),
        severity=None if deaf else Severity.INFO,
    )


def _slope(loss: np.ndarray) -> float:
    """Per step; the median over all pairs of steps."""
    one, other = np.triu_indices(loss.size, 1)
    return float(np.median((loss[other] - loss[one]) / (other - one)))


def _stays(one: OneBatch, share: float) -> bool:
    best = one.best
    return not best.final < best.start - share * abs(best.start)
