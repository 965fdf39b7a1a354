from collections.abc import Iterator

from dnndoctor.changes import Change, Rewrite
from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, Severity
from dnndoctor.measurements import Accumulation, Clearings, Optimizers
from dnndoctor.rule import rule

SENSITIVE = ("SGD", "ASGD", "updates by hand")  # their step is proportional to the gradient
SEVERAL = {
    "gan": "the passes belong to real and to generated samples",
    "reinforcement": "the passes belong to episodes",
    "contrastive": "the passes belong to views",
}


@rule("LOP103", Severity.WARNING, practice="training-loop", not_for=SEVERAL)
def accumulation_not_averaged(
    accumulation: Accumulation,
    optimizers: Optimizers | None,
    clearings: Clearings | None = None,
    *,
    share: float = 0.8,
    fewest: int = 3,
) -> Iterator[Finding]:
    """Gradients of several mean losses are added up per step, and not divided by their number.

    What it measures
        Steps before which backward ran several times at one and the same mean loss, each time on another batch, with
        nothing that divides the loss or changes the gradients before the step. Passes for different losses, losses
        that are sums, and clipped gradients are left out. For optimizers that undo the gradient's scale it is a remark.

    Why it matters
        The gradient is as many times larger as there are passes: the rate acts as if it were that much higher, and
        changes with the number of passes.

    How to fix it
        Divide the loss by the number of passes.

    When to ignore it
        The rate was chosen for the sum.

    References
        PyTorch, Automatic Mixed Precision examples, Gradient accumulation: loss = loss / iters_to_accumulate.
        share: 0.8, this project's choice: of the steps with several passes.
        fewest: 3, this project's choice: such steps.
    """
    if accumulation.steps < fewest:
        raise NotApplicable("one backward pass leads to each step")
    undivided = accumulation.averageable - accumulation.rescaled
    if undivided < share * accumulation.steps:
        return
    k = accumulation.backwards
    adaptive = optimizers is not None and optimizers.main.name not in SENSITIVE
    yield Finding(
        f"each step adds the gradients of {k} batches, and the mean loss is not divided by {k}",
        location=accumulation.location,
        evidence=(Evidence("gradient relative to the mean's", k, 1),),
        fix=Fix(
            f"Divide the loss by {k}",
            "The step is then that of one batch as large as all of them together.",
            f"loss = loss / {k}\nloss.backward()",
            _divided(clearings, k),
        ),
        severity=Severity.INFO if adaptive else None,
    )


def _divided(clearings: Clearings | None, passes: int) -> tuple[Change, ...]:
    """The loss is what ``backward`` is called on, and takes nothing."""
    at = clearings.optimizers[0].backward_location if clearings is not None and clearings.optimizers else None
    code = f"({{0}} / {passes}).backward()"
    return (Rewrite(code, at=at, of=("backward",), method=True),) if at is not None else ()
