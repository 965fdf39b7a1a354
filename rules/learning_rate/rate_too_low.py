from collections.abc import Iterator

from dnndoctor.findings import Finding, NotApplicable, Severity
from dnndoctor.measurements import LearningRateSweep, Optimizers, Run, Steps
from dnndoctor.rule import rule
from dnndoctor.rules.learning_rate.sweep_reading import (
    NO_FALLING_LOSS,
    bottomless,
    change_rate,
    figures,
    learns,
    one_digit,
    outcome,
    own_progress,
    suggestion,
    swept_optimizer,
    watched_progress,
)

OWN_MEANING = ("adadelta", "adafactor", "dadapt", "lbfgs", "prodigy", "rprop")


@rule("LRN102", Severity.WARNING, practice="learning-rate", not_for=NO_FALLING_LOSS)
def rate_too_low(
    sweep: LearningRateSweep,
    optimizers: Optimizers,
    run: Run | None,
    steps: Steps | None = None,
    *,
    distance: float = 10.0,
    gain: float = 50.0,
    noises: float = 3.0,
    share: float = 0.05,
    plain: float = 100.0,
) -> Iterator[Finding]:
    """The learning rate is so low that most of the steps are wasted.

    What it measures
        Short trainings from one snapshot at several rates: how far the loss falls at yours and at the best one, in
        equal steps. What your own first steps brought counts too.

    Why it matters
        Steps at a tenth of the usable rate cost as much as any others and bring a fraction of the progress; the run
        ends before the network has learned what it could.

    How to fix it
        Use the best measured rate, and lower it towards the end of training with a schedule.

    When to ignore it
        Pretrained weights should move little; the rule is silent where weights were loaded.

    References
        Goodfellow, Bengio and Courville 2016, Deep Learning, section 11.4.1: the rate is the first thing to tune.
        distance: 10.0, measured on 99 runs (see gain): down to a tenth of the best rate all learned well.
        gain: 50.0, measured on 99 runs (digits, breast cancer, diabetes; Adam, SGD with and without momentum; 11
        rates; progress of 20 steps against the result of 15 epochs): at most 44 where a classifier ended within 3
        points of its optimizer's best (Adam at 1e-3: 11), 4 points or more lost from 56 on.
        noises: 3.0, this project's choice: standard deviations of a score.
        share: 0.05, this project's choice: progress as a share of the loss at the start.
        plain: 100.0, this project's choice: so far from the best rate, a sweep of low confidence is no remark only.
    """
    optimizer = swept_optimizer(sweep, optimizers)
    if run is not None and run.pretrained:
        raise NotApplicable("pretrained weights are meant to move little")
    if optimizer.closure or optimizer.name.lower().startswith(OWN_MEANING):
        raise NotApplicable(f"the rate of {optimizer.name} is a factor and no step size")
    if bottomless(sweep):
        raise NotApplicable("the loss falls without bound, the faster the higher the rate is")
    own = max(own_progress(sweep), watched_progress(steps), 0.0)
    if sweep.user_rate * distance > sweep.best_rate or not learns(sweep, noises, share):
        return
    if sweep.progress < gain * own:
        return
    rate, _ = suggestion(sweep)
    near = sweep.user_rate * plain > sweep.best_rate
    yield Finding(
        f"learning rate {sweep.user_rate:.3g} wastes most of the steps: {one_digit(rate)} gives {outcome(sweep)}",
        location=optimizer.rate_location or optimizer.location,
        subject=optimizer.name,
        evidence=figures(sweep),
        fix=change_rate(sweep, optimizer),
        severity=Severity.INFO if sweep.confidence == "low" and near else Severity.WARNING,
    )
