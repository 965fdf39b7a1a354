from collections.abc import Iterator

from dnndoctor.changes import Safety
from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, Severity
from dnndoctor.measurements import Losses
from dnndoctor.rule import rule
from dnndoctor.rules.edits import take_away
from dnndoctor.rules.loss.feeding import UNCHANGED, fed_by

TAKES_LOGITS = ("binary_cross_entropy_with_logits", "multilabel_soft_margin_loss", "soft_margin_loss")
PROBABILITIES = ("sigmoid", "hardsigmoid", "softmax")


@rule("LOS102", Severity.ERROR, practice="loss")
def sigmoid_before_bce_logits(losses: Losses, *, certain: float = 0.731) -> Iterator[Finding]:
    """A sigmoid is applied before a loss that applies it again.

    What it measures
        The chain of operations that feeds a binary cross-entropy with logits: a sigmoid (or softmax) that reaches it
        with no further layer between. A sigmoid that gates another signal is not counted.

    Why it matters
        Scores between 0 and 1 give probabilities between 0.5 and 0.731: a negative can never be predicted as one, the
        loss stays above 0.31 for positives and 0.69 for negatives, and the gradient goes through two sigmoids.

    How to fix it
        Feed the raw scores (logits) into the loss. Apply the sigmoid only where probabilities are wanted.

    When to ignore it
        Never known to be meant.

    References
        PyTorch, BCEWithLogitsLoss: combines a Sigmoid layer and the BCELoss in one class.
        certain: 0.731, arithmetic: sigmoid(1), the largest probability that a score of at most 1 can give.
    """
    judged = [each for each in losses.all if each.function in TAKES_LOGITS]
    if not judged:
        raise NotApplicable("no binary cross-entropy over logits")
    reported = set()
    for loss in judged:
        fed = fed_by(loss.chain, PROBABILITIES)
        if fed is None or fed.location in reported:
            continue
        reported.add(fed.location)
        yield Finding(
            f"a {fed.name} feeds {loss.function}, which takes the sigmoid again: "
            f"no probability leaves 0.5 to {certain:.3g}",
            location=fed.location or loss.location,
            subject=fed.module or None,
            evidence=(
                Evidence("squashing functions in the chain", 2, 1),
                Evidence("largest probability", certain, 1.0),
                Evidence("smallest probability", 0.5, 0.0),
            ),
            fix=Fix(
                f"Remove the {fed.name} before the loss",
                "Probabilities then reach from 0 to 1, and the loss can fall to 0. Compare a score with 0 where a "
                "probability was compared with 0.5.",
                "loss = F.binary_cross_entropy_with_logits(scores, target)  # scores: the last layer's output",
                take_away(fed, Safety.UNSAFE if fed.in_model else Safety.SAFE)
                if fed_by(loss.chain, PROBABILITIES, UNCHANGED) is fed
                else (),
            ),
        )
