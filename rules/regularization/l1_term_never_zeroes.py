from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, Severity
from dnndoctor.measurements import Penalty, Weights
from dnndoctor.rule import rule


@rule("REG108", Severity.INFO, practice="regularization")
def l1_term_never_zeroes(penalty: Penalty, weights: Weights, *, fewest: int = 1) -> Iterator[Finding]:
    """An L1 term is added to the loss, also over biases and norm weights, and sets no weight to zero.

    What it measures
        Sums of absolute values taken of parameters themselves, and which of these are biases or norm weights.

    Why it matters
        The term's gradient is plus or minus a constant: a weight swings around zero and never is zero. On biases and
        norm scales there is nothing to make sparse.

    How to fix it
        Take the term over the weights alone, and shrink them towards zero after each step, which does set zeros.

    When to ignore it
        Sparsity is not the aim, and small weights are.

    References
        Parikh and Boyd 2014, Proximal Algorithms, section 6.5.2: soft thresholding.
        fewest: 1, this project's choice: biases or norm weights among them.
    """
    if not penalty.parameters:
        raise NotApplicable("no L1 term is in the loss")
    kinds = {each.name: each.kind for each in weights.parameters}
    small = [name for name in penalty.parameters if kinds.get(name) in ("bias", "norm")]
    if len(small) < fewest:
        return
    yield Finding(
        f"the L1 term covers {len(penalty.parameters)} parameters, {len(small)} of them biases or norm weights, "
        "and sets no weight to zero",
        location=penalty.location,
        subject="L1 term",
        evidence=(Evidence("biases and norm weights", len(small), 0),),
        fix=Fix(
            "shrink the weights after the step",
            "What the loss does not need becomes zero, and biases stay free.",
            "with torch.no_grad():\n    for p in weights:\n"
            "        p.copy_(p.sign() * (p.abs() - lr * l1).clamp(min=0))",
        ),
    )
