from collections.abc import Iterator

from dnndoctor.changes import Change, MoveStatement, Safety
from dnndoctor.findings import Evidence, Finding, Fix, NotExamined, Severity
from dnndoctor.measurements import Clearing, Clearings
from dnndoctor.rule import rule


@rule("LOP102", Severity.ERROR, practice="training-loop")
def gradients_cleared_before_step(clearings: Clearings, *, fewest: int = 3, share: float = 0.9) -> Iterator[Finding]:
    """Gradients are cleared between the backward pass and the step, so that nothing is learned.

    What it measures
        Steps at which all gradients of the optimizer were None or zero although a backward pass since the step before
        had left others.

    Why it matters
        The optimizer finds nothing to follow. The weights stay at their random start, or shrink by weight decay.

    How to fix it
        Clear before the backward pass, or after the step.

    When to ignore it
        Never known to be meant.

    References
        PyTorch documentation, Optimizer.step and Optimizer.zero_grad.
        fewest: 3, this project's choice: steps without a gradient.
        share: 0.9, this project's choice: of the steps; a skipped step now and then is sound.
    """
    if all(each.intervals < fewest for each in clearings.optimizers):
        raise NotExamined(f"fewer than {fewest} steps with a backward pass between them were watched")
    for each in clearings.optimizers:
        if each.empty < fewest or each.empty < share * each.intervals:
            continue
        yield Finding(
            f"at {each.empty} of {each.intervals} steps of {each.optimizer} the gradients had been cleared already",
            location=each.zero_location or each.step_location or each.location,
            subject=each.optimizer,
            evidence=(Evidence("steps without a gradient", each.empty, 0),),
            fix=Fix(
                "clear the gradients before the backward pass",
                f"All {each.empty} steps then have a gradient to follow; now the weights never learn.",
                "optimizer.zero_grad()\nloss.backward()\noptimizer.step()",
                _earlier(each) if len(clearings.optimizers) == 1 else (),
            ),
        )


def _earlier(each: Clearing) -> tuple[Change, ...]:
    if each.zero_location is None or each.backward_location is None:
        return ()
    return (MoveStatement(each.backward_location, at=each.zero_location, safety=Safety.SAFE),)
