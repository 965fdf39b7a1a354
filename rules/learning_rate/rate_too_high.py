from collections.abc import Iterator

import numpy as np

from dnndoctor.findings import Finding, Severity
from dnndoctor.measurements import LearningRateSweep, Optimizers, Steps
from dnndoctor.rule import rule
from dnndoctor.rules.learning_rate.sweep_reading import (
    NO_FALLING_LOSS,
    change_rate,
    diverged,
    figures,
    first_jump,
    learns,
    one_digit,
    outcome,
    own_progress,
    suggestion,
    swept_optimizer,
    watched_progress,
)


@rule("LRN101", Severity.WARNING, practice="learning-rate", not_for=NO_FALLING_LOSS)
def rate_too_high(
    sweep: LearningRateSweep,
    optimizers: Optimizers,
    steps: Steps | None,
    *,
    margin: float = 2.0,
    lost_share: float = 0.5,
    risen: float = 2.0,
    noises: float = 3.0,
    thrown: float = 3.0,
) -> Iterator[Finding]:
    """The learning rate is so high that training diverges or makes little of its progress.

    What it measures
        Short trainings from one snapshot at several rates, and the loss of your own steps. Reported are a loss that
        rose for good where a lower rate learns, and a rate near the diverging one, or beyond the usable ones by the
        same margin, that loses most of the progress, or whose first steps throw the loss up so far that twice the best
        rate's loss is left. A high rate that learns as well as the best is sound. It is an
        error where your steps diverge, or trials at your rate surely do and your steps bring nothing.

    Why it matters
        Above the edge of stability each step overshoots by more than it corrects; the weights grow, units die.

    How to fix it
        Use the best measured rate. If you need this one later, warm up to it, or clip the gradient norm.

    When to ignore it
        The rate is meant for later, flatter stretches, and the first steps are known to be rough.

    References
        Smith 2017, Cyclical Learning Rates, section 3.3: range test and diverging edge.
        Cohen et al. 2021, Gradient Descent on Neural Networks Typically Occurs at the Edge of Stability, section 3.
        margin: 2.0, Cohen et al. 2021, section 3: close under the edge is the normal state, so harm is asked for too.
        lost_share: 0.5, this project's choice: less than half of the best rate's progress in equal steps.
        risen: 2.0, this project's choice: median loss of the last third against the start, on 10 steps or more.
        noises: 3.0, this project's choice: standard deviations of a score, and 5 % of the start at least.
        thrown: 3.0, this project's choice: one of the first losses against the same batch's at the lowest rate.
    """
    ran_away = steps is not None and diverged(steps.loss, sweep, risen, noises)
    optimizer = swept_optimizer(sweep, optimizers, ran_away)
    if not learns(sweep, noises, 0.05) or sweep.best_rate >= sweep.user_rate:
        return
    edge = sweep.diverging_rate
    near = sweep.user_rate * margin >= edge if edge is not None else False
    beyond = sweep.user_rate >= sweep.usable[1] * margin
    harmed = own_progress(sweep) < lost_share * sweep.progress
    jump = first_jump(sweep)
    wasted = beyond and jump >= thrown and sweep.user_score >= 2 * sweep.best_score > 0
    if not ran_away and not (harmed and (near or beyond)) and not wasted:
        return
    what = "loses most of the progress" if harmed else f"throws the loss to {jump:.1f} times its size at first"
    what = "makes the loss diverge" if ran_away or own_progress(sweep) == -np.inf else what
    place = f"; training diverges from {edge:.2g} on" if edge is not None else ""
    # A trial at this very rate broke down, and the run's own steps brought nothing that speaks against it.
    breaks_down = own_progress(sweep) == -np.inf and sweep.confidence == "high" and watched_progress(steps) <= 0
    unsure = sweep.confidence == "low"
    yield Finding(
        f"learning rate {sweep.user_rate:.3g} {what}: {one_digit(suggestion(sweep)[0])} gives {outcome(sweep)}{place}",
        location=optimizer.rate_location or optimizer.location,
        subject=optimizer.name,
        evidence=figures(sweep),
        fix=change_rate(sweep, optimizer),
        severity=Severity.ERROR if ran_away or breaks_down else Severity.INFO if unsure else Severity.WARNING,
    )
