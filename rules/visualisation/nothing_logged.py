from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotExamined, Severity
from dnndoctor.measurements import Habits, Plan, Steps
from dnndoctor.rule import rule


@rule("VIS101", Severity.INFO, practice="visualisation")
def nothing_logged(
    habits: Habits, plan: Plan | None, steps: Steps | None, *, fewest_lines: int = 1
) -> Iterator[Finding]:
    """Nobody is told of the loss.

    What it measures
        Any name in the source that speaks of printing, logging, plotting, a progress bar, a tracker or a list that
        values are appended to.

    Why it matters
        A run that diverged in its first minute is noticed at its end.

    How to fix it
        One line per epoch.

    When to ignore it
        A flight recorder is on.

    References
        Karpathy 2019, A Recipe for Training Neural Networks, section 2: watch the loss from the first step on.
        fewest_lines: 1, Karpathy 2019, section 2: of source that could be read.
    """
    if plan is not None and plan.framework is not None:
        raise NotExamined(f"the loop is {plan.framework}'s, which logs by itself")
    if habits.lines < fewest_lines:
        raise NotExamined("no source file of the user's could be read")
    if habits.logs is not None:
        return
    place = (plan.location if plan is not None else None) or (steps.location if steps is not None else None)
    yield Finding(
        f"none of the {habits.lines} lines of the source prints, logs, plots or keeps anything",
        location=place,
        subject="loss",
        evidence=(Evidence("lines that log", 0, 1),),
        fix=Fix("print the loss", "A run that goes wrong is seen at once.", 'print(f"{epoch} loss {loss.item():.4f}")'),
    )
