from collections.abc import Iterator

from dnndoctor.changes import Unwrap
from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, Severity
from dnndoctor.measurements import Wiring
from dnndoctor.rule import rule


@rule(
    "REG106",
    Severity.WARNING,
    practice="regularization",
    not_for={"contrastive": "in contrastive learning dropout of an embedding is an augmentation"},
)
def dropout_on_output(wiring: Wiring, *, tolerated: int = 0) -> Iterator[Finding]:
    """A dropout acts on the model's predictions, on their way into the loss.

    What it measures
        Dropouts that are active in training passes, stand behind a layer, and whose output goes into the loss past
        nothing but a softmax or a change of shape. Losses of distances between embeddings are left out.

    Why it matters
        Predictions that were set to zero at random are wrong by chance: the loss has a floor that no training can get
        under, and for regression the predictions in evaluation have another scale.

    How to fix it
        Take the dropout away, or put it before the last layer.

    When to ignore it
        Never seen to be meant.

    References
        Srivastava et al. 2014, Dropout, section 4: units of the hidden layers and the input are dropped, no outputs.
        tolerated: 0, Srivastava et al. 2014, section 4: a single one sets predictions to zero.
    """
    active = [each for each in wiring.dropouts if each.active and each.p]
    if not active:
        raise NotApplicable("no dropout acted in training")
    found = [each for each in active if each.loss is not None]
    for each in found[tolerated:]:
        p = each.p or 0.0
        yield Finding(
            f"{each.name} sets {p:.0%} of the outputs of {each.after} to zero right before {each.loss}",
            location=each.call or each.location,
            subject=each.name,
            evidence=(Evidence("probability to be dropped", p, 0.0),),
            fix=Fix(
                "take the dropout off the output",
                f"The loss then compares all predictions with their targets, and not {1 - p:.0%} of them.",
                "return self.head(self.dropout(x))  # before the last layer, not behind it",
                (Unwrap(),),
            ),
        )
