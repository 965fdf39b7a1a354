from collections.abc import Iterator

from dnndoctor.changes import Change
from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import LossInput, LossInputs
from dnndoctor.rule import rule
from dnndoctor.rules.edits import LAYERS, exchange, take_away
from dnndoctor.rules.loss.feeding import UNCHANGED, fed_by

DISTANCES = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
NO_CLASSES = {
    "gan": "least-squares GANs are trained towards 0 and 1 on purpose",
    "reinforcement": "in reinforcement learning values are regressed, and returns may be 0 or 1",
    "contrastive": "similarities of 0 and 1 are no classes",
    "diffusion": "in diffusion training the target is noise",
    "variational": "in variational training the target is the input",
}


@rule("LOS105", Severity.WARNING, practice="loss", not_for=NO_CLASSES)
def squared_error_for_classes(
    inputs: LossInputs, *, fewest_rows: int = 100, most_classes: int = 20, unlearned: float = 0.5
) -> Iterator[Finding]:
    """A squared or absolute error is used where the targets are classes.

    What it measures
        The targets of losses that measure a distance: rows with one 1 and zeros else, or the whole numbers 0 to C - 1
        that were cast from integers in front of the loss. The numbers are a remark where most of their variance
        is explained in the later half of the watched steps: they may be counts or grades. So are targets of two values
        unless a sigmoid, softmax or tanh gives the prediction and most of their variance is left. Soft targets,
        targets that are the model's input, and ratings that begin at 1 are not classes.

    Why it matters
        The gradient of a squared error through a softmax or sigmoid vanishes where the model is surely wrong, so that
        the worst mistakes are corrected last; and class numbers have no distances.

    How to fix it
        Use cross-entropy on raw scores with class indices, or binary cross-entropy on one score.

    When to ignore it
        The classes are ordered (grades, ages), or the Brier score is what you want to minimise.

    References
        Golik, Doetsch & Ney 2013, Cross-entropy vs. squared error training.
        fewest_rows: 100, this project's choice: pooled targets, so that a toy like XOR is no finding.
        most_classes: 20, this project's choice: whole numbers beyond that are more likely counts.
        unlearned: 0.5, this project's choice: share of the targets' variance that is left.
    """
    judged = [each for each in inputs.all if each.function in DISTANCES and each.input_differentiable]
    if not judged:
        raise NotApplicable("no squared or absolute error")
    measured = [each for each in judged if each.rows >= fewest_rows]
    if not measured:
        raise NotExamined(f"fewer than {fewest_rows} pairs of prediction and target were sampled")
    for each in measured:
        if each.target_differentiable or each.target_is_input or not each.whole:
            continue
        classes = _classes(each, most_classes)
        if classes is None:
            continue
        binary = classes == 2 and not each.one_hot
        learned = each.late_error < unlearned * each.target_std**2
        sure = each.one_hot or (not learned and (_squashed(each) if binary else _cast(each)))
        yield _finding(each, classes, binary, None if sure else Severity.INFO)


def _classes(each: LossInput, most: int) -> int | None:
    if each.one_hot:
        return each.target_shape[1]
    narrow = len(each.target_shape) == 1 or (len(each.target_shape) == 2 and each.target_shape[1] == 1)
    values = each.distinct
    if not narrow or not 2 <= len(values) <= most:
        return None
    return len(values) if values in (tuple(range(len(values))), (-1.0, 1.0)) else None


def _squashed(each: LossInput) -> bool:
    """Meant as a probability."""
    return fed_by(each.chain, ("sigmoid", "softmax", "tanh"), UNCHANGED) is not None


def _cast(each: LossInput) -> bool:
    return each.from_integers or each.target_kind == "integer"


def _finding(each: LossInput, classes: int, binary: bool, severity: Severity | None) -> Finding:
    form = "rows with one 1" if each.one_hot else "the numbers " + (", ".join(f"{v:g}" for v in each.distinct[:4]))
    more = ", ..." if len(each.distinct) > 4 and not each.one_hot else ""
    if binary:
        code = "loss = F.binary_cross_entropy_with_logits(scores, target)  # scores: no sigmoid; targets 0 and 1"
    elif each.one_hot:
        code = "loss = F.cross_entropy(scores, target.argmax(1))  # scores: no softmax"
    else:
        code = f"loss = F.cross_entropy(scores, target.long())  # {classes} scores per sample, no softmax"
    return Finding(
        f"{each.function} is used for {classes} classes: its {each.rows} sampled targets are {form}{more}",
        location=each.place,
        evidence=(
            Evidence("classes", classes),
            Evidence("squared error in the later half", each.late_error, 0.0),
            Evidence("targets' variance", each.target_std**2),
        ),
        fix=Fix(
            "Use a cross-entropy",
            "Sure mistakes then get the largest gradient and not the smallest.",
            code,
            _other_loss(each, binary),
        ),
        severity=severity,
    )


def _other_loss(each: LossInput, binary: bool) -> tuple[Change, ...]:
    """A cross-entropy takes rows with one 1 as they are, and a binary one numbers 0 and 1; both want raw scores."""
    fits = each.one_hot or (binary and each.distinct == (0.0, 1.0) and each.input_shape == each.target_shape)
    squashed = fed_by(each.chain, ("sigmoid", "softmax"), UNCHANGED)
    if not fits or each.by_hand or each.function not in LAYERS or (squashed is None and _squashed(each)):
        return ()
    other = "binary_cross_entropy_with_logits" if binary else "cross_entropy"
    return (*exchange(each.function, other, each.place), *(take_away(squashed) if squashed is not None else ()))
