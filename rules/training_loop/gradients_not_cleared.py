from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotExamined, Severity
from dnndoctor.measurements import Clearings
from dnndoctor.rule import rule


@rule("LOP101", Severity.ERROR, practice="training-loop")
def gradients_not_cleared(clearings: Clearings, *, fewest: int = 3) -> Iterator[Finding]:
    """Gradients are never cleared, so that every step adds those of all steps before.

    What it measures
        Whether any backward pass between two steps of an optimizer found its gradients cleared. Accumulation over a few
        passes, cleared once per step, is sound.

    Why it matters
        The update follows the sum of all gradients since the start, most of them taken at weights long gone. It acts
        like momentum without friction: the loss falls at first, then swings or explodes.

    How to fix it
        Clear the gradients once per step, before the backward pass.

    When to ignore it
        Never known to be meant.

    References
        PyTorch documentation, Optimizer.zero_grad and Tensor.backward: gradients accumulate in the leaves.
        fewest: 3, this project's choice: intervals between steps, none of them cleared.
    """
    if all(each.intervals < fewest for each in clearings.optimizers):
        raise NotExamined(f"fewer than {fewest} steps with a backward pass between them were watched")
    for each in clearings.optimizers:
        if each.intervals < fewest or each.uncleared < each.intervals:
            continue
        yield Finding(
            f"no gradient of {each.optimizer} was cleared in {each.intervals} of {each.intervals} steps",
            location=each.backward_location or each.step_location or each.location,
            subject=each.optimizer,
            evidence=(Evidence("steps without clearing", each.uncleared, 0),),
            fix=Fix(
                "clear the gradients before each backward pass",
                f"Each step then follows its own batch alone, and not the sum over {each.intervals} steps and more.",
                "optimizer.zero_grad()\nloss.backward()\noptimizer.step()",
            ),
        )
