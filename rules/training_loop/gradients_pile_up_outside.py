from collections.abc import Iterator

from dnndoctor.changes import Rewrite, Safety
from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, Severity
from dnndoctor.measurements import PiledGradient, PiledGradients, Weights
from dnndoctor.rule import rule


@rule("LOP109", Severity.WARNING, practice="training-loop")
def gradients_pile_up_outside(
    piled: PiledGradients, weights: Weights | None = None, *, growth: float = 2.0, fewest: int = 3
) -> Iterator[Finding]:
    """A copy of the trained model, which no optimizer holds, collects gradients that nobody clears.

    What it measures
        The norm of the gradients of models that are of a trained model's class, and of which no optimizer holds any
        part, at a few steps: whether it grows.

    Why it matters
        A target network or a teacher is there to give fixed answers. As it is, every backward pass goes through it
        too, which takes time and memory, and the loss is not the one that was meant: it says to move the answer.

    How to fix it
        Call it under ``torch.no_grad()``, or detach what it puts out.

    When to ignore it
        Its gradients are read by code of your own.

    References
        Mnih et al. 2015, Human-level control through deep reinforcement learning, Methods: the target is held fixed.
        growth: 2.0, this project's choice: the last norm over the first; gradients that are cleared do not grow so.
        fewest: 3, this project's choice: steps at which the gradients were looked at.
    """
    if not piled.models:
        raise NotApplicable("no model outside of the optimizers is given gradients")
    # Where the optimizer's own parameters get none, it holds the wrong model, and this is the one to train.
    astray = weights is not None and not any(p.received_gradient for p in weights.parameters if p.optimizer is not None)
    for each in piled.models:
        if each.copy_of is not None and _grows(each, growth, fewest):
            first, last = float(each.norm[0]), float(each.norm[-1])
            yield Finding(
                f"gradients of {each.model}, which no optimizer holds, grew from {first:.3g} to {last:.3g} "
                f"within {each.step[-1]} steps",
                location=each.call or each.location,
                subject=each.model,
                evidence=(Evidence("gradient norm", last, 0), Evidence("parameters", each.parameters)),
                fix=Fix(
                    "call it without gradients",
                    f"No backward pass then goes through its {each.parameters} parameters.",
                    "with torch.no_grad():\n    target = target_network(x)",
                    (Rewrite("{it}.detach()", at=each.call, safety=Safety.SAFE),)
                    if each.call is not None and not astray
                    else (),
                ),
            )


def _grows(model: PiledGradient, growth: float, fewest: int) -> bool:
    if len(model.norm) < fewest:
        return False
    return bool(model.norm[-1] >= growth * model.norm[0] and (model.norm[1:] != model.norm[:-1]).all())
