from collections.abc import Iterator

from dnndoctor.changes import SetArgument
from dnndoctor.findings import Evidence, Finding, Fix, Location, NotApplicable, Severity
from dnndoctor.measurements import LearningRateSweep, LossInputs, Optimizers
from dnndoctor.rule import rule
from dnndoctor.rules.learning_rate.sweep_reading import learns, own_progress, suggestion, swept_optimizer

SUMS = {
    "variational": "the bound is a sum over the entries on purpose",
    "gan": "the two networks' losses balance each other",
    "reinforcement": "the loss of an episode is a sum over its steps",
}


@rule("LOS111", Severity.INFO, practice="loss", not_for=SUMS)
def sum_reduced_loss(
    inputs: LossInputs,
    sweep: LearningRateSweep | None,
    optimizers: Optimizers | None,
    *,
    lost_share: float = 0.5,
    factor: float = 3.0,
    noises: float = 3.0,
    progress_share: float = 0.05,
) -> Iterator[Finding]:
    """The loss is summed over the batch, so that the step grows with the batch size.

    What it measures
        The reduction of the loss, or a sum by hand over the batch that is the whole loss. Sums that are divided
        before backward, and losses to which others are added, are left out. It is a warning where the
        learning-rate sweep shows that the rate is too high for it: most of the progress is lost at your rate, and a
        rate several times lower makes it.

    Why it matters
        The gradient is as many times larger as the batch has samples. Rates known from mean losses are too high, and a
        change of the batch size changes the step.

    How to fix it
        Use the mean, or divide the rate by the batch size.

    When to ignore it
        The rate was chosen for the sum.

    References
        Goyal et al. 2017, Accurate, Large Minibatch SGD, section 2.1: rates are stated for the mean over the batch.
        lost_share: 0.5, this project's choice: less than half of the best rate's progress is made, as in LRN101.
        factor: 3.0, this project's choice: times by which the rate is too high.
        noises: 3.0, this project's choice: standard deviations of a score that count as progress.
        progress_share: 0.05, this project's choice: of the loss at the start that counts as progress.
    """
    found = _summed(inputs)
    if found is None:
        raise NotApplicable("no loss is summed over the batch")
    what, place, samples = found
    high = _too_high(sweep, optimizers, lost_share, factor, noises, progress_share)
    told = f", and learning rate {sweep.user_rate:.3g} is too high for it" if high and sweep is not None else ""
    yield Finding(
        f"{what} is summed over a batch of {samples}: its gradient is {samples} times that of the mean{told}",
        location=place,
        evidence=(
            Evidence("samples in the sum", samples, 1),
            *(
                (Evidence("learning rate", sweep.user_rate, suggestion(sweep)[0]),)
                if high and sweep is not None
                else ()
            ),
        ),
        fix=Fix(
            "Use the mean over the batch",
            f"The step is then {samples} times smaller, and does not depend on the batch size.",
            'reduction="mean"',
            (SetArgument("reduction", '"mean"'),) if what != "the loss" else (),
        ),
        severity=Severity.WARNING if high else None,
    )


def _summed(inputs: LossInputs) -> tuple[str, Location | None, int] | None:
    for each in inputs.all:
        alone = each.input_differentiable and not each.divided and not each.added_to
        if each.reduction == "sum" and alone and each.samples > 1:
            return each.function, each.place, each.samples
    if inputs.summed is not None and inputs.batch_size > 1:
        return "the loss", inputs.summed.location, inputs.batch_size
    return None


def _too_high(
    sweep: LearningRateSweep | None,
    optimizers: Optimizers | None,
    lost_share: float,
    factor: float,
    noises: float,
    progress_share: float,
) -> bool:
    if sweep is None or optimizers is None or not learns(sweep, noises, progress_share):
        return False
    try:
        swept_optimizer(sweep, optimizers)
    except NotApplicable:
        return False
    lost = own_progress(sweep) < lost_share * sweep.progress
    return lost and suggestion(sweep)[0] * factor <= sweep.user_rate
