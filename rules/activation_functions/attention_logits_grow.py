from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dnndoctor.findings import Evidence, Finding, Fix, Location, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import Attention, AttentionSite
from dnndoctor.rule import rule

ENDS = 3  # sampled steps at each end


@rule("ACT108", Severity.WARNING, practice="activation-functions")
def attention_logits_grow(
    attention: Attention,
    *,
    largest: float = 50.0,
    growth: float = 3.0,
    collapsed: float = 0.05,
    spread: float = 0.5,
    fewest: int = 6,
) -> Iterator[Finding]:
    """An attention's logits grow until each position looks at one other position only.

    What it measures
        From a few heads and positions of each sampled step: the largest logit after scaling and masking, and the
        entropy of the weights as a share of that of equal weights; the last three steps against the first three.
        A finding is a logit that has both grown and become so large that softmax is a hard choice, or an entropy that
        fell from a spread to nothing.

    Why it matters
        Where softmax has become a hard choice its slope is zero: queries and keys get no gradient any more, and the
        loss jumps when a choice tips over. In 16-bit floats the logits overflow.

    How to fix it
        A lower rate or a warm-up; normalise queries and keys (QK-norm); scale by 1 / sqrt(head size).

    When to ignore it
        The attention is meant to point at single positions, and the loss falls smoothly.

    References
        Dehghani et al. 2023, Scaling Vision Transformers to 22 Billion Parameters, section 3.1; Zhai et al. 2023,
        Stabilizing Transformer Training by Preventing Attention Entropy Collapse, section 3.
        largest: 50.0, arithmetic: 20 below it a weight is 2e-9; sound scripts reach 4 in their first 50 steps.
        growth: 3.0, this project's choice: from a start of 17 or less.
        collapsed: 0.05, Zhai et al. 2023, figure 2: runs whose entropy falls to nearly nothing diverge.
        spread: 0.5, measured on sound scripts: they start at 0.97 to 1.0.
        fewest: 6, this project's choice: sampled steps, so that the ends do not overlap.
    """
    if not attention.sites:
        raise NotApplicable("the model has no attention")
    judged = [each for each in attention.sites if len(each.steps) >= fewest]
    if not judged:
        raise NotExamined(f"attention was sampled in fewer than {fewest} steps")
    lines: dict[Location | None, list[AttentionSite]] = {}
    for site in judged:
        (first, last), entropies = _ends(site.largest), _ends(site.entropy)
        grown = last > largest and last > growth * first
        if grown or (entropies[1] < collapsed and entropies[0] > spread):
            lines.setdefault(site.location, []).append(site)
    for group in lines.values():
        yield _finding(max(group, key=lambda each: _ends(each.largest)[1]), len(group), largest)


def _ends(values: NDArray[np.float64]) -> tuple[float, float]:
    """Medians of the first and of the last steps."""
    return float(np.median(values[:ENDS])), float(np.median(values[-ENDS:]))


def _finding(site: AttentionSite, count: int, expected: float) -> Finding:
    logits, entropies = _ends(site.largest), _ends(site.entropy)
    many = f" (the largest of {count} here)" if count > 1 else ""
    return Finding(
        f"within {site.steps[-1] + 1} steps the logits of {site.name}{many} grew from {logits[0]:.2g} to "
        f"{logits[1]:.2g}, and its weights' entropy from {entropies[0]:.0%} to {entropies[1]:.0%} of equal weights'",
        location=site.location,
        subject=site.name,
        evidence=(
            Evidence("largest logit", logits[1], expected),
            Evidence("largest logit at first", logits[0]),
            Evidence("entropy of the weights, share of the largest", entropies[1], entropies[0]),
        ),
        fix=Fix(
            "warm the rate up, or normalise queries and keys",
            f"Logits that stay near {max(logits[0], 1.0):.2g} keep the gradient of queries and keys alive.",
            "q, k = self.q_norm(q), self.k_norm(k)  # nn.LayerNorm(head_size) before the product",
        ),
    )
