from collections.abc import Iterator

from dnndoctor.changes import Change, Enclose, Loop, Safety
from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import Clearings, Mode, Modes
from dnndoctor.rule import rule


@rule("LOP110", Severity.INFO, practice="training-loop")
def evaluation_tracks_gradients(
    modes: Modes, clearings: Clearings | None = None, *, fewest: int = 2
) -> Iterator[Finding]:
    """Evaluation builds the autograd graph, and no backward pass follows.

    What it measures
        Passes over a loader that no step is made on, with gradients enabled, and no backward pass behind them.

    Why it matters
        Every activation is kept for a backward pass that never comes: evaluation takes more memory and more time, and
        allows only smaller batches.

    How to fix it
        Evaluate under ``torch.no_grad()`` or ``torch.inference_mode()``.

    When to ignore it
        The evaluation needs gradients of its inputs, as adversarial tests do.

    References
        PyTorch documentation, Autograd mechanics, "Locally disabling gradient computation".
        fewest: 2, this project's choice: passes, so that one trial pass is no finding.
    """
    evaluation = modes.purpose("evaluation")
    if not evaluation:
        raise NotExamined("no evaluation was seen")
    if not any(each.trainable for each in evaluation):
        raise NotApplicable("only models that are not trained are evaluated")
    for each in evaluation:
        if not each.gradients or not each.trainable or each.training_data or each.passes < fewest:
            continue
        yield Finding(
            f"{each.passes} evaluation passes of {each.model} built an autograd graph that no backward pass used",
            location=each.location,
            subject=each.model,
            evidence=(Evidence("passes with gradients", each.passes, 0),),
            fix=Fix(
                "evaluate without gradients",
                f"None of the {each.passes} passes then keeps its activations.",
                "model.eval()\nwith torch.no_grad():\n    output = model(x)",
                _enclosed(each, clearings),
            ),
        )


def _enclosed(each: Mode, clearings: Clearings | None) -> tuple[Change, ...]:
    if each.location is None or clearings is None or not clearings.training:
        return ()
    around = Loop(without=clearings.training)
    return (Enclose("with torch.no_grad():", at=each.location, loop=around, safety=Safety.SAFE),)
