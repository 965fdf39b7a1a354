from collections.abc import Iterator

import numpy as np

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import History
from dnndoctor.rule import rule
from dnndoctor.rules.learning_rate.sweep_reading import NO_FALLING_LOSS


@rule("EPO104", Severity.INFO, practice="epochs", not_for=NO_FALLING_LOSS)
def stopped_too_early(history: History, *, fewest: int = 4, falling: float = 0.01) -> Iterator[Finding]:
    """The run ends while the validation loss is still falling.

    What it measures
        The last evaluations of a whole recorded run: each lower than the one before, and by how much per evaluation.

    Why it matters
        More of the same training would have made a better model.

    How to fix it
        Go on. With a schedule, make it as long as the run.

    When to ignore it
        The budget is spent.

    References
        Prechelt 1998, Early Stopping - But When?, section 2.
        fewest: 4, this project's choice: evaluations.
        falling: 0.01, the rule catalogue of this project: relative fall per evaluation.
    """
    if not history.complete:
        raise NotExamined("the run was not recorded to its end")
    losses = history.validation_loss[-fewest:]
    if len(losses) < fewest:
        raise NotExamined(f"fewer than {fewest} evaluations with a loss were recorded")
    if losses.min() <= 0:
        raise NotApplicable("the validation loss is not positive")
    rate = 1 - float((losses[-1] / losses[0]) ** (1 / (fewest - 1)))
    if rate <= falling or not (np.diff(losses) < 0).all():
        return
    yield Finding(
        f"the validation loss still falls by {rate:.1%} per evaluation as the run ends, at {losses[-1]:.3g}",
        location=history.validation_location,
        subject="validation loss",
        evidence=(Evidence("fall per evaluation", rate, falling),),
        fix=Fix("go on", "Each further epoch lowers the loss by about as much.", None),
    )
