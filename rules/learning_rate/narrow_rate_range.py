from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, Severity
from dnndoctor.measurements import LearningRateSweep, Optimizers
from dnndoctor.rule import rule
from dnndoctor.rules.learning_rate.sweep_reading import NO_FALLING_LOSS, learns, swept_optimizer


@rule("LRN103", Severity.INFO, practice="learning-rate", not_for=NO_FALLING_LOSS)
def narrow_rate_range(
    sweep: LearningRateSweep,
    optimizers: Optimizers,
    *,
    width: float = 3.5,
    near: float = 5.0,
    noises: float = 3.0,
    share: float = 0.05,
) -> Iterator[Finding]:
    """The best learning rate lies close under the rate at which training diverges.

    What it measures
        Short trainings from one snapshot at several rates: the lowest rate that diverges, and from which on all do,
        over the best one. A rate of yours far below the best one is in no danger.

    Why it matters
        With such a narrow range a small change of the data, the batch or the seed makes a good rate a ruinous one.

    How to fix it
        Normalise the inputs, add normalisation layers, clip the gradient norm or warm the rate up.

    When to ignore it
        The rate you use is well below the best one.

    References
        Smith 2017, Cyclical Learning Rates, section 3.3; Gilmer et al. 2021, A Loss Curvature Perspective on Training
        Instability in Deep Learning, section 3.
        width: 3.5, this project's choice: rates are tried at a factor of 3.2, so the very next one diverges. That was
        so in 4 of 92 sound trainings of this project, and one of them came near its best rate.
        near: 5.0, this project's choice: times below the best rate, from which on a rate is well clear of the edge.
        noises: 3.0, this project's choice: standard deviations of a score that count as progress.
        share: 0.05, this project's choice: of the loss at the start that counts as progress.
    """
    optimizer = swept_optimizer(sweep, optimizers)
    if not learns(sweep, noises, share):
        raise NotApplicable("no rate made clear progress")
    if sweep.diverging_rate is None or sweep.best_rate <= 0:
        return
    ratio = sweep.diverging_rate / sweep.best_rate
    if ratio >= width or near * sweep.user_rate < sweep.best_rate:
        return
    yield Finding(
        f"training diverges from {sweep.diverging_rate:.2g} on, {ratio:.2g} times the best rate {sweep.best_rate:.2g}",
        location=optimizer.rate_location or optimizer.location,
        subject=sweep.optimizer,
        evidence=(Evidence("diverging over best rate", ratio, width), Evidence("learning rate", sweep.user_rate)),
        fix=Fix(
            "Clip the gradient norm, or warm the rate up",
            f"Rates beyond {sweep.diverging_rate:.2g} then become usable.",
            "torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)  # before optimizer.step()",
        ),
    )
