from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, Severity
from dnndoctor.measurements import Finiteness, HalfPrecision
from dnndoctor.rule import rule


@rule("NUM102", Severity.WARNING, practice="numerics")
def half_precision_range(
    half: HalfPrecision,
    finiteness: Finiteness | None,
    *,
    vanishing: float = 0.01,
    fewest: int = 1000,
    highest: float = 60000.0,
    gone: int = 5,
) -> Iterator[Finding]:
    """Values in float16 come to an end of its range.

    What it measures
        The gradients at operations in float16, without a GradScaler: how many of those that are not zero are under
        2**-21, where float16 has three bits left and about as many more have become zero; or that all of
        them are zero. And the largest magnitude of
        what such operations give. bfloat16 has the range of float32 and is not judged.

    Why it matters
        Gradients that become zero are lost to the update; magnitudes beyond 65504 become infinite.

    How to fix it
        Scale the loss with torch.amp.GradScaler, or use bfloat16.

    When to ignore it
        Never for the loss of gradients.

    References
        Micikevicius et al. 2018, Mixed Precision Training, section 3.2: loss scaling keeps small gradients.
        vanishing: 0.01, this project's choice: share of gradient entries.
        fewest: 1000, this project's choice: gradient entries that were looked at.
        gone: 5, this project's choice: gradients of nothing but zeros, where no other came.
        highest: 60000.0, IEEE 754: the largest number of float16 is 65504.
    """
    if not half.places:
        raise NotApplicable("nothing is computed in float16")
    entries = sum(each.entries for each in half.places)
    lost = sum(each.vanishing for each in half.places)
    if not half.scaled and entries >= fewest and lost > vanishing * entries:
        worst = max(half.places, key=lambda each: each.vanishing)
        yield Finding(
            f"{lost / entries:.0%} of the float16 gradients are under 5e-7, next to zero, and no GradScaler is used",
            location=worst.location,
            subject=worst.module or None,
            evidence=(Evidence("share of vanishing gradients", lost / entries, vanishing),),
            fix=Fix(
                "Scale the loss",
                "A factor of 65536 lifts these gradients back into the range.",
                "scaler.scale(loss).backward()\nscaler.step(optimizer)\nscaler.update()",
            ),
        )
    zeros = sum(each.zeros for each in half.places)
    if not half.scaled and not entries and zeros >= gone:
        yield _all_gone(half, zeros)
    broken = finiteness is not None and finiteness.first is not None
    high = max(half.places, key=lambda each: each.peak)
    if highest < high.peak < float("inf") and not broken:
        yield Finding(
            f"{high.operation} gives {high.peak:.4g} in float16, whose largest number is 65504",
            location=high.location,
            subject=high.module or None,
            evidence=(Evidence("largest magnitude", high.peak, 65504.0),),
            fix=Fix(
                "Use bfloat16",
                "It has the range of float32.",
                'torch.autocast(device_type="cuda", dtype=torch.bfloat16)',
            ),
        )


def _all_gone(half: HalfPrecision, zeros: int) -> Finding:
    last = half.places[-1]
    return Finding(
        f"each of {zeros} gradients that were looked at in float16 is exactly zero, and no GradScaler is used",
        location=last.location,
        subject=last.module or None,
        evidence=(Evidence("gradients of nothing but zeros", zeros, 0),),
        fix=Fix(
            "Scale the loss",
            "A factor of 65536 lifts gradients from 1e-12 on into the range of float16.",
            "scaler.scale(loss).backward()\nscaler.step(optimizer)\nscaler.update()",
        ),
        severity=Severity.ERROR,
    )
