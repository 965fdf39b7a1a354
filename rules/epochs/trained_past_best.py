from collections.abc import Iterator

import numpy as np

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import Habits, History
from dnndoctor.rule import rule
from dnndoctor.rules.learning_rate.sweep_reading import NO_FALLING_LOSS


@rule("EPO103", Severity.WARNING, practice="epochs", not_for=NO_FALLING_LOSS)
def trained_past_best(
    history: History, habits: Habits | None, *, fewest: int = 8, past: float = 0.25, worse: float = 1.2
) -> Iterator[Finding]:
    """Training went on for long after the validation loss was at its best.

    What it measures
        The mean loss of each evaluation over a whole recorded run, smoothed over three: where it was lowest, how much
        of the run came after that, and how much higher it is at the end.

    Why it matters
        The last weights are worse than some that were thrown away, and the time went into getting there.

    How to fix it
        Keep the weights of the best evaluation, and stop when there was no better one for a while.

    When to ignore it
        The metric that counts went on getting better.

    References
        Prechelt 1998, Early Stopping - But When?, section 2.
        fewest: 8, this project's choice: evaluations, so that noise makes no best.
        past: 0.25, the rule catalogue of this project: share of the run after the best.
        worse: 1.2, this project's choice: the end against the best, beyond what evaluations of small sets differ by.
    """
    losses, at = history.validation_loss, history.validation_step
    if not history.complete:
        raise NotExamined("the run was not recorded to its end")
    if len(losses) < fewest:
        raise NotExamined(f"fewer than {fewest} evaluations with a loss were recorded")
    if habits is not None and habits.keeps_best is not None:
        raise NotApplicable("the script keeps the best, or stops early")
    if losses.min() <= 0:
        raise NotApplicable("the validation loss is not positive")
    smooth = np.median(np.lib.stride_tricks.sliding_window_view(losses, 3), axis=1)
    best, end = int(smooth.argmin()), float(smooth[-1])
    share = float((at[-1] - at[best + 1]) / at[-1])
    if share <= past or end <= worse * smooth[best]:
        return
    yield Finding(
        f"the validation loss was best, {smooth[best]:.3g}, at step {at[best + 1]} of {at[-1]}, and is {end:.3g} "
        "at the end",
        location=history.validation_location,
        subject="validation loss",
        evidence=(
            Evidence("share of the run after the best", share, past),
            Evidence("loss at the end", end, float(smooth[best])),
        ),
        fix=Fix(
            "keep the best weights, and stop early",
            f"Saves {share:.0%} of the run, and ends at {smooth[best]:.3g} instead of {end:.3g}.",
            "if val_loss < best:\n    best, wait = val_loss, 0\n    torch.save(model.state_dict(), 'best.pt')\n"
            "elif (wait := wait + 1) > 5:\n    break",
        ),
    )
