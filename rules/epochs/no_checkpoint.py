from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import Habits, Plan
from dnndoctor.rule import rule


@rule("EPO102", Severity.WARNING, practice="epochs")
def no_checkpoint(
    plan: Plan, habits: Habits, *, fewest_epochs: int = 5, minutes: float = 10.0, hours: float = 2.0
) -> Iterator[Finding]:
    """A long run saves nothing.

    What it measures
        Any name in the source that speaks of saving, and the length of the run: the loops' number of steps at the speed
        of the watched ones, which the watch slows down.

    Why it matters
        A crash, a full disk or a time limit takes everything that was learned.

    How to fix it
        Save model, optimizer, scheduler and random state once per period.

    When to ignore it
        The run is cheap to repeat.

    References
        PyTorch tutorials, "Saving and loading a general checkpoint".
        fewest_epochs: 5, the rule catalogue of this project.
        minutes: 10.0, the rule catalogue of this project: shorter runs are repeated.
        hours: 2.0, this project's choice: from here on it is a warning.
    """
    if plan.framework is not None:
        raise NotExamined(f"the loop is {plan.framework}'s, and what it saves is not in the source")
    if plan.seconds is None:
        raise NotExamined("how long the run is meant to be could not be read from the source")
    if plan.seconds < 60 * minutes or (plan.epochs is not None and plan.epochs <= fewest_epochs):
        raise NotApplicable(f"the run takes some {max(plan.seconds / 60, 0.1):.1f} minutes")
    if habits.saves is not None:
        return
    yield Finding(
        f"a run of some {plan.seconds / 3600:.1f} hours saves nothing",
        location=plan.location,
        subject="checkpoint",
        evidence=(Evidence("planned time", plan.seconds, None, "s"), Evidence("lines that save", 0)),
        fix=Fix(
            "save once per epoch",
            "What was learned outlives a crash, and the run goes on from there.",
            "torch.save({'epoch': epoch, 'model': model.state_dict(), 'optimizer': optimizer.state_dict(),\n"
            "            'rng': torch.get_rng_state()}, 'checkpoint.pt')",
        ),
        severity=Severity.WARNING if plan.seconds >= 3600 * hours else Severity.INFO,
    )
