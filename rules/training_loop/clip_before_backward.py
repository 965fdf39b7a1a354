from collections.abc import Iterator

from dnndoctor.changes import Change, MoveStatement, Safety
from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, Severity
from dnndoctor.measurements import Clearings, ClipOrder, Gradients
from dnndoctor.rule import rule


@rule("LOP108", Severity.ERROR, practice="training-loop")
def clip_before_backward(
    clipping: ClipOrder,
    clearings: Clearings | None = None,
    gradients: Gradients | None = None,
    *,
    fewest: int = 3,
    share: float = 0.9,
) -> Iterator[Finding]:
    """Gradients are clipped before the backward pass has made them.

    What it measures
        Between any two steps of an optimizer with a clipping of its parameters: whether the last clipping met no
        gradient, or one that was cleared afterwards, while a backward pass still followed.

    Why it matters
        What the step uses has never been clipped. A batch with a huge gradient, the very case that clipping is there
        for, goes through in full.

    How to fix it
        Clip between ``backward`` and ``step``.

    When to ignore it
        Never known to be meant. A call with no limit, which only reads the norm, does not count.

    References
        Pascanu, Mikolov and Bengio 2013, On the difficulty of training recurrent neural networks, section 3.2.
        fewest: 3, this project's choice: steps whose clipping came to nothing.
        share: 0.9, this project's choice: of the steps with a clipping; the first one may meet no gradient.
    """
    if not clipping.steps:
        raise NotApplicable("gradients are not clipped")
    if clipping.in_vain < fewest or clipping.in_vain < share * clipping.steps:
        return
    yield Finding(
        f"in {clipping.in_vain} of {clipping.steps} steps gradients were clipped before the backward pass made them",
        location=clipping.location,
        evidence=(Evidence("steps clipped in vain", clipping.in_vain, 0),),
        fix=Fix(
            "clip between backward and step",
            f"All {clipping.in_vain} steps then keep to the limit; none of them does now.",
            "optimizer.zero_grad()\nloss.backward()\n"
            "torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)\noptimizer.step()",
            _behind_backward(clearings) if gradients is None or not gradients.scaled else (),
        ),
    )


def _behind_backward(clearings: Clearings | None) -> tuple[Change, ...]:
    places = {each.backward_location for each in clearings.optimizers} if clearings is not None else set()
    to = places.pop() if len(places) == 1 else None
    return (MoveStatement(to, after=True, safety=Safety.SAFE),) if to is not None else ()
