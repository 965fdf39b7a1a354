from collections.abc import Iterator

import numpy as np

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import LearningRateSweep, Optimizers, Origins, Steps
from dnndoctor.rule import rule
from dnndoctor.rules.learning_rate.sweep_reading import NO_FALLING_LOSS, one_digit, suggestion


@rule("PRE103", Severity.WARNING, practice="pretraining", not_for=NO_FALLING_LOSS)
def pretrained_rate_too_high(
    origins: Origins,
    optimizers: Optimizers,
    steps: Steps | None,
    sweep: LearningRateSweep | None,
    *,
    most: float = 0.1,
    times: float = 3.0,
    noises: float = 3.0,
    risen: float = 1.5,
) -> Iterator[Finding]:
    """The learning rate throws pretrained weights away in the first steps; a lower one learns better.

    What it measures
        How far the loaded weights that are trained move in the watched steps, as a share of their own size; whether the
        loss rose above its start; and whether a lower rate of the learning-rate probe learns more in the same steps.

    Why it matters
        What was learned before lies in those weights. A new head's first gradients are large and random; at a rate for
        training from scratch they wipe it out before the head knows anything.

    How to fix it
        Give the loaded part a lower rate than the head, or freeze it until the head has learned, or warm up.

    When to ignore it
        The weights are a mere start for quite another task, and training is long.

    References
        Howard and Ruder 2018, Universal Language Model Fine-tuning, section 3: discriminative rates, unfreezing.
        Kumar et al. 2022, Fine-Tuning can Distort Pretrained Features, section 3.
        most: 0.1, this project's choice: a tenth of the weights' norm in 50 steps or less.
        times: 3.0, this project's choice: the better rate is lower by one step of the probe's ladder at least.
        noises: 3.0, this project's choice: standard deviations of a score that the better rate gains, and at least a
        tenth of the loss at the start.
        risen: 1.5, this project's choice: the loss of the last third of the steps against the first step's.
    """
    movement = origins.movement
    if movement is None:
        raise NotApplicable("no loaded weights are trained")
    share = max(movement.shares)
    if share <= most:
        return
    first = next(step for step, moved in zip(movement.steps, movement.shares, strict=True) if moved > most)
    better = _better_rate(sweep, times, noises)
    if better is None and not _rose(steps, risen):
        if sweep is None:
            raise NotExamined(f"the weights moved by {share:.0%}, but no other rate was tried")
        return
    optimizer = optimizers.main
    rate = optimizer.peak_rate
    lower, gain = rate / 10, ""
    if better is not None:
        lower, score, own = better
        gain = f"rate {one_digit(lower)} brings the loss to {score:.3g}, this one to {own:.3g}"
    yield Finding(
        f"at rate {rate:.3g} the pretrained weights moved by {share:.0%} of their size, {most:.0%} within "
        f"{first} steps" + (f"; {gain}" if gain else ""),
        location=optimizer.rate_location or movement.location or optimizer.location,
        subject=optimizer.name,
        evidence=(Evidence("movement", share, most), Evidence("learning rate", rate, lower)),
        fix=Fix(
            "train the pretrained part at a lower rate than the head",
            f"In the same steps {gain}." if gain else "The loss then need not rise first.",
            "torch.optim.AdamW([\n"
            f'    {{"params": backbone.parameters(), "lr": {one_digit(lower)}}},\n'
            f'    {{"params": head.parameters(), "lr": {one_digit(rate)}}},\n])',
        ),
    )


def _better_rate(sweep: LearningRateSweep | None, times: float, noises: float) -> tuple[float, float, float] | None:
    """A rate that is lower by ``times`` and learns more beyond the noise: it, its loss, and the user's own."""
    if sweep is None or sweep.best_rate * times > sweep.user_rate:
        return None
    own = sweep.user_score if np.isfinite(sweep.user_score) else np.inf
    least = max(noises * sweep.noise, 0.1 * abs(sweep.start))
    for rate, score in (suggestion(sweep), (sweep.best_rate, sweep.best_score)):
        if own - score > least and rate * times <= sweep.user_rate:
            return rate, score, own
    return None


def _rose(steps: Steps | None, risen: float) -> bool:
    if steps is None or len(steps.loss) < 6:
        return False
    loss = steps.loss
    return bool(np.isfinite(loss[0]) and loss[0] > 0 and not np.median(loss[-(len(loss) // 3) :]) <= risen * loss[0])
