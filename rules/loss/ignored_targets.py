from collections.abc import Iterator

from dnndoctor.changes import RemoveArgument
from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import LossInputs
from dnndoctor.rule import rule


@rule("LOS113", Severity.WARNING, practice="loss")
def ignored_targets(inputs: LossInputs, *, share: float = 0.3, fewest_rows: int = 20) -> Iterator[Finding]:
    """The loss ignores a class that the samples really have.

    What it measures
        The share of class targets that equal the loss's ignore_index, where that is one of the classes and there is one
        target per sample of the batch. Targets per token or pixel are left alone: there it marks padding. It is an
        error for two classes.

    Why it matters
        Samples of that class have no loss: the model never sees one and predicts another class for all of them.

    How to fix it
        Give this head a criterion of its own without ignore_index, or number the classes so that no one has that index.

    When to ignore it
        The index marks samples without a label.

    References
        PyTorch, CrossEntropyLoss: ignore_index, a target value that is ignored and does not contribute to the gradient.
        share: 0.3, this project's choice: of the targets, or half of what a class has on average; less may be unknown.
        fewest_rows: 20, this project's choice: targets that were looked at.
    """
    judged = [each for each in inputs.all if each.ignore_index is not None and each.input_differentiable]
    if not judged:
        raise NotApplicable("no loss over class indices")
    measured = [each for each in judged if each.rows >= fewest_rows]
    if not measured:
        raise NotExamined(f"fewer than {fewest_rows} targets were sampled")
    for each in measured:
        classes = each.input_shape[1] if len(each.input_shape) == 2 else 0
        index = each.ignore_index or 0
        per_sample = len(each.target_shape) == 1 and each.samples == inputs.batch_size
        if not 0 <= index < classes or not per_sample or each.ignored_share <= min(share, 0.5 / classes):
            continue
        yield Finding(
            f"{each.ignored_share:.0%} of the targets are class {index}, which {each.function} ignores: "
            f"{classes - 1} of {classes} classes are trained",
            location=each.place,
            evidence=(Evidence("share of ignored targets", each.ignored_share, 0.0), Evidence("classes", classes)),
            fix=Fix(
                "Use a criterion without ignore_index here",
                f"The {each.ignored_share:.0%} of samples in class {index} then count.",
                "criterion = nn.CrossEntropyLoss()",
                (RemoveArgument("ignore_index"),) if [e.place for e in inputs.all].count(each.place) == 1 else (),
            ),
            severity=Severity.ERROR if classes == 2 else None,
        )
