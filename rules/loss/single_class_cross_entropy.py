from collections.abc import Iterator

from dnndoctor.changes import Change, FirstOf, Rewrite, Unwrap
from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, Severity
from dnndoctor.measurements import LossInput, LossInputs, SoftmaxUse
from dnndoctor.rule import rule
from dnndoctor.rules.edits import CALLED, exchange
from dnndoctor.rules.loss.feeding import NEARLY_UNCHANGED, fed_by

DISTANCES = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")


@rule("LOS112", Severity.ERROR, practice="loss")
def single_class_cross_entropy(inputs: LossInputs, *, fewest: int = 2) -> Iterator[Finding]:
    """A softmax or cross-entropy goes over one single output, which makes it constant.

    What it measures
        The size of the class axis of every cross-entropy, and of a softmax that feeds a loss with no layer between.

    Why it matters
        Over one output the softmax is always 1: the cross-entropy is exactly 0, or the prediction always 1, whatever
        the weights are, and every gradient is exactly 0. Nothing is learnt.

    How to fix it
        For two classes and one output use the binary cross-entropy with logits; for numbers the squared error; for C
        classes C outputs.

    When to ignore it
        Never.

    References
        Arithmetic: exp(z) / exp(z) = 1.
        fewest: 2, arithmetic: entries of the class axis over which a softmax says anything.
    """
    judged = [each for each in inputs.all if each.function == "cross_entropy" or each.softmaxes]
    if not judged:
        raise NotApplicable("no cross-entropy, and no softmax before a loss")
    for each in judged:
        if each.function == "cross_entropy" and len(each.input_shape) > 1 and each.input_shape[1] < fewest:
            yield _finding(
                each, "cross_entropy goes over one single class: it is 0 for any weights, and so is its gradient"
            )
            continue
        fed = fed_by(each.chain, ("softmax", "log_softmax"), NEARLY_UNCHANGED | {"log"})
        use = next((u for u in each.softmaxes if fed is not None and u.location == fed.location), None)
        if use is not None and len(use.shape) > 1 and use.shape[use.axis] < fewest:
            said = "0" if use.function == "log_softmax" else "1"
            yield _finding(
                each, f"the {use.function} before {each.function} goes over one output: it is always {said}", use
            )


def _finding(each: LossInput, message: str, use: SoftmaxUse | None = None) -> Finding:
    location = (use.location if use is not None else None) or each.place
    return Finding(
        message,
        location=location,
        subject=(use.module if use is not None else None) or None,
        evidence=(Evidence("entries of the class axis", 1, 2),),
        fix=Fix(
            "Use the binary cross-entropy for one output, or one output per class",
            "The loss then depends on the weights.",
            "loss = F.binary_cross_entropy_with_logits(scores.squeeze(1), target.float())  # scores: no softmax",
            _other_activation(each, use) if use is not None else _other_loss(each),
        ),
    )


def _other_loss(each: LossInput) -> tuple[Change, ...]:
    """The fused binary loss where one score per sample meets numbers 0 and 1, the squared error for other numbers."""
    if each.target_kind != "float" or each.input_shape != each.target_shape or not each.distinct:
        return ()
    binary = set(each.distinct) <= {0.0, 1.0}
    return exchange("cross_entropy", "binary_cross_entropy_with_logits" if binary else "mse_loss", each.place)


def _other_activation(each: LossInput, use: SoftmaxUse) -> tuple[Change, ...]:
    """A sigmoid for a loss of probabilities; nothing for one of numbers."""
    if use.location is None or use.function != "softmax":
        return ()
    if each.function == "binary_cross_entropy":
        call = Rewrite("torch.sigmoid({0})", at=use.location, of=("softmax",), method=True, dropping=("dim", "1"))
        layer = Rewrite("torch.nn.Sigmoid()", at=use.location, of=("Softmax",), dropping=("dim", "0"))
        return (FirstOf(((call,), (layer,)), at=use.location),)
    return (Unwrap(at=use.location, of=CALLED["softmax"], method=True),) if each.function in DISTANCES else ()
