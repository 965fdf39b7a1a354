from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, Severity
from dnndoctor.measurements import Wiring
from dnndoctor.rule import rule


@rule("REG105", Severity.INFO, practice="regularization")
def dropout_before_batchnorm(wiring: Wiring, *, tolerated: int = 0) -> Iterator[Finding]:
    """A dropout stands before a batch norm, whose variance then differs between training and evaluation.

    What it measures
        The order of the operations in the watched forward pass: dropouts whose output a batch norm takes at once.

    Why it matters
        Dropout scales what it keeps by 1 / (1 - p), so that in training the variance is larger than in evaluation.
        Batch norm keeps the training variance for evaluation, and there divides by too much.

    How to fix it
        Put the dropout behind the norm and the activation.

    When to ignore it
        The measured scores in evaluation mode are what they should be.

    References
        Li et al. 2019, Understanding the Disharmony between Dropout and Batch Normalization, section 3.
        tolerated: 0, Li et al. 2019, section 3: the shift is there for any p above zero.
    """
    if not any(each.active for each in wiring.dropouts):
        raise NotApplicable("no dropout acted in training")
    found = [each for each in wiring.dropouts if each.norm is not None and each.p]
    if len(found) <= tolerated:
        return
    first = found[0]
    p = first.p or 0.0
    yield Finding(
        f"{first.name} drops {p:.0%} of what {first.norm} normalises: the variance that it keeps for evaluation is "
        f"{1 / max(1 - p, 1e-9):.2g} times what it meets there",
        location=first.call or first.location,
        subject=first.name,
        evidence=(Evidence("dropouts before a batch norm", len(found), 0), Evidence("probability to be dropped", p)),
        fix=Fix(
            f"swap {first.name} and {first.norm}",
            "The norm then sees the same variance in training and in evaluation.",
            "nn.BatchNorm1d(n), nn.ReLU(), nn.Dropout(p)",
        ),
    )
