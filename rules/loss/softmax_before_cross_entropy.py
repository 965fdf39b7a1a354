from collections.abc import Iterator
from dataclasses import replace
from math import e, log

from dnndoctor.changes import Change, Safety
from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, Severity
from dnndoctor.measurements import Fed, Loss, Losses, LossInput, LossInputs
from dnndoctor.rule import rule
from dnndoctor.rules.edits import take_away
from dnndoctor.rules.loss.feeding import UNCHANGED

NORMALISERS = ("softmax", "log_softmax")
# What may stand between the softmax and the loss and leave it the prediction. A product, sum or mean makes a
# mixture of it (experts, attention), and a weighted layer anything at all.
TRANSPARENT = (
    "log",
    "clamp",
    "clamp_min",
    "clamp_max",
    "clip",
    "dropout",
    "add",
    "sub",
    "to",
    "clone",
    "index",
    "select",
    "slice",
    "contiguous",
)


@rule("LOS101", Severity.ERROR, practice="loss")
def softmax_before_cross_entropy(
    losses: Losses, inputs: LossInputs | None = None, *, classes: int = 2, fewest_rows: int = 16
) -> Iterator[Finding]:
    """A softmax is applied before a cross-entropy that applies it again.

    What it measures
        The chain of operations that feeds the loss, read from the autograd graph: a softmax that reaches the
        cross-entropy with no further layer between; or scores that are never negative and add up to 1 in
        every sampled row, whatever made them. log_softmax followed by nll_loss is right and not reported;
        log_softmax followed by cross_entropy changes nothing, and is a remark.

    Why it matters
        Scores between 0 and 1 can't express confidence: the loss stays above ln(1 + (C - 1) / e) for C classes, and the
        gradient through two softmaxes is small.

    How to fix it
        Feed the raw scores (logits) into the loss. Apply softmax only where probabilities are wanted, after training.

    When to ignore it
        Never for the softmax; the log_softmax is harmless.

    References
        PyTorch, CrossEntropyLoss: the input is expected to contain the unnormalized logits for each class.
        classes: 2, arithmetic: over a single class a softmax is constant, which is another fault.
        fewest_rows: 16, this project's choice: sampled rows that all add up to 1.
    """
    judged = [each for each in losses.all if each.function in ("cross_entropy", "nll_loss")]
    if not judged:
        raise NotApplicable("no cross-entropy")
    reported = set()
    for loss in judged:
        fed = _superfluous(loss)
        if fed is None or (loss.classes or classes) < classes or (fed.location, fed.module) in reported:
            continue
        reported.add((fed.location, fed.module))
        yield _finding(loss, fed)
    for each in inputs.all if inputs is not None and not reported else ():
        wide = len(each.input_shape) > 1 and each.input_shape[1] >= classes
        if each.function == "cross_entropy" and each.probabilities and wide and each.rows >= fewest_rows:
            yield _finding(_as_loss(each), _maker(each))


def _superfluous(loss: Loss) -> Fed | None:
    """The normaliser that the loss does not need; nll_loss needs one."""
    found: list[Fed] = []
    logged = False
    for fed in loss.chain:
        if fed.name in NORMALISERS:
            found.append(replace(fed, name="log_softmax" if logged else fed.name))
            logged = False
        elif fed.name not in TRANSPARENT:
            break
        logged = logged or fed.name == "log"
    if loss.function == "nll_loss":  # without a logarithm it is fed probabilities, which is another fault
        found = found[1:] if found and found[0].name == "log_softmax" else []
    return next((each for each in found if each.name == "softmax"), None) or (
        found[0] if found and loss.function == "cross_entropy" else None
    )


def _as_loss(each: LossInput) -> Loss:
    return Loss(each.function, each.location, 0.0, each.chain, classes=each.input_shape[1])


def _maker(each: LossInput) -> Fed:
    """The operation that gave the probabilities, known as a softmax by what it gives."""
    last = each.chain[0] if each.chain and each.chain[0].name != "linear" else None
    return Fed("softmax", last.location if last is not None else each.location, last.module if last is not None else "")


def _finding(loss: Loss, fed: Fed) -> Finding:
    place = fed.location or loss.location
    if fed.name == "log_softmax":
        return Finding(
            "log_softmax before cross_entropy is computed twice; it changes no value",
            location=place,
            subject=fed.module or None,
            evidence=(Evidence("log_softmax in the chain", 2, 1),),
            fix=Fix(
                "Use nll_loss, or feed the raw scores",
                "One operation less.",
                "loss = F.nll_loss(log_probs, target)",
                _removal(loss, fed),
            ),
            severity=Severity.INFO,
        )
    floor = log(1 + (loss.classes - 1) / e) if loss.classes else None
    bound = f", so the loss cannot fall below {floor:.3g} for {loss.classes} classes" if floor is not None else ""
    return Finding(
        f"a softmax feeds {loss.function}, which takes the softmax again: 2 where 1 belongs{bound}",
        location=place,
        subject=fed.module or None,
        evidence=(
            Evidence("softmax in the chain", 2, 1),
            *((Evidence("lowest loss that can be reached", floor, 0.0),) if floor is not None else ()),
        ),
        fix=Fix(
            "Remove the softmax before the loss",
            "The loss can then fall to 0, and wrong predictions get their full gradient.",
            "loss = F.cross_entropy(scores, target)  # scores: the last layer's output, no softmax",
            _removal(loss, fed),
        ),
    )


def _removal(loss: Loss, fed: Fed) -> tuple[Change, ...]:
    """Where nothing on the way was made for probabilities, as a clamp is; in a model others may count on them."""
    if fed not in loss.chain or any(each.name not in UNCHANGED for each in loss.chain[: loss.chain.index(fed)]):
        return ()
    return take_away(fed, Safety.UNSAFE if fed.in_model else Safety.SAFE)
