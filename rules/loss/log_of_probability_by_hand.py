from collections.abc import Iterator

from dnndoctor.changes import Change, Rename, Rewrite, Safety, Unwrap
from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, Severity
from dnndoctor.measurements import Fed, Finiteness, Loss, Losses, LossInput, LossInputs, Run
from dnndoctor.rule import rule
from dnndoctor.rules.edits import exchange, take_away
from dnndoctor.rules.loss.feeding import UNCHANGED, fed_by

PROBABILITIES = ("sigmoid", "softmax")
GUARDS = frozenset("add clamp clamp_min clamp_max clip maximum where nan_to_num".split())
LINEAR = frozenset("mean sum neg mul div gather sub add".split())


@rule("LOS114", Severity.WARNING, practice="loss")
def log_of_probability_by_hand(
    losses: Losses,
    inputs: LossInputs | None,
    finiteness: Finiteness | None,
    run: Run | None,
    *,
    wrong_share: float = 0.001,
) -> Iterator[Finding]:
    """The logarithm of a probability is taken by hand, where a fused loss would keep its precision.

    What it measures
        A log of a sigmoid or softmax on the way into the loss with no epsilon or clamp between, or a binary
        cross-entropy on a sigmoid. It is a warning where harm was measured: the logarithm became infinite, or
        probabilities rounded to exactly 0 or 1 on the wrong side, where binary_cross_entropy is cut off at -100 and
        its gradient is 0. Else, and in adversarial training, it is a remark.

    Why it matters
        In float32 a sigmoid rounds to 1 from 17 on. Its logarithm is then exactly 0 or minus infinity, and the
        gradient is 0 or NaN just for the samples that are most wrong.

    How to fix it
        Feed raw scores into the fused loss: cross_entropy, binary_cross_entropy_with_logits, log_softmax, logsigmoid.

    When to ignore it
        The scores stay small, as they do in most short trainings.

    References
        PyTorch, BCEWithLogitsLoss: more numerically stable than a plain Sigmoid followed by a BCELoss, by the
        log-sum-exp trick; BCELoss: log outputs are clamped to be greater than or equal to -100.
        wrong_share: 0.001, this project's choice: share of predictions that are exactly wrong.
    """
    broken = finiteness is not None and finiteness.first is not None and not finiteness.first.scaler_skipped
    by_log = broken and finiteness is not None and finiteness.first is not None and finiteness.first.operation == "log"
    found = [f for loss in losses.all if (f := _by_hand(loss, by_log)) is not None]
    gan = run is not None and run.family == "gan"
    cut = [each for each in inputs.all if each.function == "binary_cross_entropy"] if inputs is not None else []
    found += [f for each in cut if (f := _cut_off(each, wrong_share, gan)) is not None]
    if not found and not cut and not any(each.name == "log" for loss in losses.all for each in loss.chain):
        raise NotApplicable("no logarithm of a probability is taken by hand")
    yield from {each.location: each for each in found}.values()


def _by_hand(loss: Loss, broken: bool) -> Finding | None:
    logarithm = None
    for fed in loss.chain:
        if logarithm is None:
            if fed.name == "log":
                logarithm = fed
            elif fed.name not in LINEAR | UNCHANGED | GUARDS:
                return None
        elif fed.name in PROBABILITIES:
            return _finding(fed, logarithm, broken)
        elif fed.name in GUARDS or fed.name not in UNCHANGED:
            return None
    return None


def _finding(squashed: Fed, logarithm: Fed, broken: bool) -> Finding:
    fused = "F.log_softmax(scores, dim=1)" if squashed.name == "softmax" else "F.logsigmoid(scores)"
    told = ", and became infinite" if broken else ""
    return Finding(
        f"log of a {squashed.name} is taken in 2 operations without an epsilon{told}",
        location=logarithm.location,
        subject=logarithm.module or None,
        evidence=(Evidence("operations for the logarithm", 2, 1),),
        fix=Fix("Use the fused function", "It is exact for scores of any size.", fused, _fused(squashed, logarithm)),
        severity=None if broken else Severity.INFO,
    )


def _cut_off(each: LossInput, share: float, gan: bool) -> Finding | None:
    sigmoid = fed_by(each.chain, ("sigmoid",), UNCHANGED)
    if sigmoid is None:
        return None
    harmed = each.certain_wrong_share > share and not gan
    lost = (
        f": {each.certain_wrong_share:.2%} of the predictions are exactly wrong and get no gradient" if harmed else ""
    )
    return Finding(
        f"binary_cross_entropy takes the logarithm of a sigmoid, 2 steps that one fused loss does{lost}",
        location=each.place,
        subject=sigmoid.module or None,
        evidence=(Evidence("share of predictions that are exactly wrong", each.certain_wrong_share, 0.0),),
        fix=Fix(
            "Use binary_cross_entropy_with_logits on the raw scores",
            "It is exact for scores of any size. Compare a score with 0 where a probability was compared with 0.5.",
            "criterion = nn.BCEWithLogitsLoss()  # and no sigmoid at the end of the model",
            (
                *exchange("binary_cross_entropy", "binary_cross_entropy_with_logits", each.place),
                *take_away(sigmoid),
            ),
        ),
        severity=None if harmed else Severity.INFO,
    )


def _fused(squashed: Fed, logarithm: Fed) -> tuple[Change, ...]:
    """Where the logarithm is taken of the very call, so that nothing else uses its result."""
    if squashed.location is None or logarithm.location is None:
        return ()
    alone = Unwrap(at=logarithm.location, of=("log",), method=True, holding=(squashed.name,), safety=Safety.SAFE)
    if squashed.name == "softmax":
        return (alone, Rename("log_softmax", at=squashed.location, of=("softmax",), safety=Safety.SAFE))
    fused = Rewrite(
        "torch.nn.functional.logsigmoid({0})", at=squashed.location, of=("sigmoid",), method=True, safety=Safety.SAFE
    )
    return (alone, fused)
