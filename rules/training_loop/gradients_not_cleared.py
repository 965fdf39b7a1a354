from collections.abc import Iterator

from dnndoctor.changes import Change, FirstOf, InsertAfter, InsertBefore, Safety
from dnndoctor.findings import Evidence, Finding, Fix, NotExamined, Severity
from dnndoctor.measurements import Clearing, Clearings, Optimizers
from dnndoctor.rule import rule


@rule("LOP101", Severity.ERROR, practice="training-loop")
def gradients_not_cleared(
    clearings: Clearings, optimizers: Optimizers | None = None, *, fewest: int = 3, many: int = 12, share: float = 0.7
) -> Iterator[Finding]:
    """Gradients are never cleared, so that every step adds those of all steps before.

    What it measures
        Whether a backward pass between two steps of an optimizer found its gradients cleared. Accumulation over a few
        passes, cleared once per step, is sound; cleared once per epoch, or once for several steps, is not.

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
        many: 12, this project's choice: intervals between steps from which on a share of them is judged.
        share: 0.7, arithmetic: a loop that steps each time and clears every fourth time leaves three of four uncleared.
    """
    if all(each.intervals < fewest for each in clearings.optimizers):
        raise NotExamined(f"fewer than {fewest} steps with a backward pass between them were watched")
    closures = [each.closure for each in optimizers.all] if optimizers is not None else []
    for index, each in enumerate(clearings.optimizers):
        needed = each.intervals if each.intervals < many else share * each.intervals
        if each.intervals < fewest or each.uncleared < needed:
            continue
        yield Finding(
            f"no gradient of {each.optimizer} was cleared in {each.uncleared} of {each.intervals} steps",
            location=each.backward_location or each.step_location or each.location,
            subject=each.optimizer,
            evidence=(Evidence("steps without clearing", each.uncleared, 0),),
            fix=Fix(
                "clear the gradients before each backward pass",
                f"Each step then follows its own batch alone, and not the sum over {_summed(each)}.",
                "optimizer.zero_grad()\nloss.backward()\noptimizer.step()",
                _clearing(each, len(clearings.optimizers) == 1, any(closures[index : index + 1])),
            ),
        )


def _summed(each: Clearing) -> str:
    cleared = each.intervals - each.uncleared
    return f"{each.intervals} steps and more" if not cleared else f"about {round(each.intervals / cleared)} steps"


def _clearing(each: Clearing, alone: bool, closure: bool) -> tuple[Change, ...]:
    """Before the backward pass, or after the step where several passes lead to it."""
    if not each.variable:
        by_hand = each.optimizer == "updates by hand" and each.backward_location is not None
        return (InsertBefore("model.zero_grad()", at=each.backward_location, safety=Safety.SAFE),) if by_hand else ()
    code = f"{each.variable}.zero_grad()"
    before = InsertBefore(code, at=each.backward_location, safety=Safety.SAFE)
    after = InsertAfter(code, at=each.step_location, safety=Safety.SAFE)
    if each.backward_location is None or each.step_location is None:
        return ()
    if closure:
        return (before,)
    return (FirstOf(((before,), (after,)), safety=Safety.SAFE),) if alone and each.backwards <= 1 else (after,)
