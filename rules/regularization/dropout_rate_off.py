from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, Severity
from dnndoctor.measurements import Dropout, Wiring
from dnndoctor.rule import rule


@rule("REG102", Severity.WARNING, practice="regularization")
def dropout_rate_off(wiring: Wiring, *, share: float = 0.7, severe: float = 0.8) -> Iterator[Finding]:
    """A hidden layer loses most of its units to dropout.

    What it measures
        The probability of each dropout that acts on a layer's output in training. Dropout of inputs and embeddings,
        which is masking, is left out.

    Why it matters
        The probability is that of being dropped, not of being kept as in some papers and older libraries. With 0.8 or
        0.9 so little of the signal is left in each step that the model cannot fit.

    How to fix it
        0.5 in large hidden layers, 0.1 to 0.3 in small ones and in transformers, none where the model under-fits.

    When to ignore it
        The layer is very wide and over-fits with less.

    References
        Srivastava et al. 2014, Dropout, section 7.3 and appendix A.4: the share kept lies between 0.5 and 0.8 in
        hidden layers; with fewer than a third of the units left the model under-fits.
        share: 0.7, Srivastava et al. 2014, figure 9: beyond it both errors rise; a remark.
        severe: 0.8, Srivastava et al. 2014, figure 9: the training error has multiplied by then.
    """
    active = [each for each in wiring.dropouts if each.active and each.p]
    if not active:
        raise NotApplicable("no dropout acted in training")
    lines: dict[object, list[Dropout]] = {}
    for each in active:
        if (each.p or 0.0) >= share and each.p != 1 and each.after is not None and not each.data:
            lines.setdefault(each.location, []).append(each)
    for group in lines.values():
        worst = max(group, key=lambda each: each.p or 0.0)
        p = worst.p or 0.0
        yield Finding(
            f"{worst.name} drops {p:.0%} of the units of {worst.after}, so that {1 - p:.0%} are left in each step",
            location=worst.location,
            subject=worst.name,
            evidence=(Evidence("probability to be dropped", p, 0.5),),
            fix=Fix(
                "drop no more than half, or less where the model under-fits",
                f"If {p:g} was meant as the share to keep, that is p={1 - p:.2g} here.",
                f"nn.Dropout({1 - p:.2g})",
            ),
            severity=None if p >= severe else Severity.INFO,
        )
