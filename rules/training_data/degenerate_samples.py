from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import DataScan
from dnndoctor.rule import rule

TOKENS = "sequences of padding only"


@rule(
    "DAT103",
    Severity.WARNING,
    practice="training-data",
    not_for={"reinforcement": "in reinforcement learning the policy decides which states are seen"},
)
def degenerate_samples(
    scan: DataScan, *, blank: float = 0.01, outlying: float = 0.01, fewest: int = 5, enough: int = 100
) -> Iterator[Finding]:
    """Some training samples are blank, empty, or far from all others.

    What it measures
        Samples of 16 and more entries that are all the same; token sequences of padding only; samples that lie more
        than 10 robust standard deviations from the rest, with a gap in between, so that a long tail is no finding.
        Samples that make up a class of their own, and blank ones with a blank target, are left out.

    Why it matters
        A blank sample teaches its label for nothing: the output for no input. A few samples a thousand times too
        large decide the gradient of every batch that they are in.

    How to fix it
        Look at the samples listed, and leave out what was not read or measured correctly.

    When to ignore it
        Such samples will come in use, and the model is to know them.

    References
        Huber and Ronchetti 2009, Robust Statistics, section 1.1: a few gross errors decide a least-squares fit.
        blank: 0.01, this project's choice: the catalogue's 1 %, and none in the six data sets of scikit-learn.
        outlying: 0.01, this project's choice: as above.
        fewest: 5, this project's choice: samples; what fewer do is told by the loss.
        enough: 100, this project's choice: samples to compare with.
    """
    sets = [each for each in scan.sets if each.role == "training" and (each.odd is not None or each.padding)]
    if not sets:
        raise NotApplicable("the training samples are too small to be blank")
    if max(each.scanned for each in sets) < enough:
        raise NotExamined(f"only {max(each.scanned for each in sets)} samples were read")
    for each in sets:
        kinds = []
        if each.odd is not None:
            odd, looked = each.odd, each.odd.looked_at
            kinds.append(("blank", 0 if odd.blank_class else odd.blank, looked, odd.blank_at, blank))
            far = 0 if odd.outlying_class else odd.outlying
            kinds.append(("more than 10 robust deviations from the rest", far, looked, odd.outlying_at, outlying))
        if each.padding is not None:
            kinds.append((TOKENS, each.padding.empty, each.scanned, (), blank))
        for what, count, looked, at, limit in kinds:
            if count < fewest or count <= limit * looked or looked < enough:
                continue
            where = f": samples {', '.join(map(str, at[:5]))}" + (", ..." if count > 5 else "") if at else ""
            yield Finding(
                f"{count} of {looked} training samples are {what}{where}",
                location=each.location,
                subject=each.dataset or None,
                evidence=(Evidence("share of samples", count / looked, limit),),
                fix=Fix(
                    "leave these samples out",
                    f"A share of {count / looked:.1%} of every batch is spent on samples that are {what}.",
                    "keep = x.flatten(1).std(1) > 0\nx, y = x[keep], y[keep]"
                    if what == "blank"
                    else "keep = (lengths > 0)\nx, y = x[keep], y[keep]"
                    if what == TOKENS
                    else "size = (x - x.median(0).values).flatten(1).abs().mean(1)\n"
                    "keep = size < 10 * size.median()\nx, y = x[keep], y[keep]",
                ),
            )
