from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import DataScan, Leak
from dnndoctor.rule import rule


@rule(
    "LOS109",
    Severity.ERROR,
    practice="loss",
    not_for={
        "gan": "in adversarial training a label may be part of the input",
        "reinforcement": "in reinforcement learning there is no target beside the reward",
        "diffusion": "in diffusion training the target is noise",
    },
)
def target_leak(scan: DataScan, *, correlation: float = 0.9995) -> Iterator[Finding]:
    """An input feature is the target: there is nothing to learn, and in use the feature will not be there.

    What it measures
        The correlation of every feature of a table with the target, one number per sample. A leak is the only feature
        that follows the target to rounding, or to a fraction of a percent while no other comes near. Inputs of one or
        two features, and targets that are whole inputs (as of an autoencoder), are left out.

    Why it matters
        The loss falls to its floor at once and every measure is perfect, on training and validation data alike. What
        was learned is to copy one column.

    How to fix it
        Take the column out of the inputs.

    When to ignore it
        The feature is known in use, and the program only shows that it can be copied.

    References
        Kaufman et al. 2012, Leakage in Data Mining: Formulation, Detection, and Avoidance, section 3.
        correlation: 0.9995, measured on 6 data sets: the best feature reaches 0.96 (petal width of iris).
    """
    found = [each.leak for each in scan.sets if each.role == "training" and each.leak is not None]
    found += [scan.batch_leak] if scan.batch_leak is not None and not found else []
    if not found:
        if not any(_comparable(each.input_shape, each.input_kind) for each in scan.sets if each.role == "training"):
            raise NotApplicable("the input is no table of numbers")
        if not any(each.scanned for each in scan.sets):
            raise NotExamined("no sample was read")
    for leak in found:
        if leak.correlation >= correlation:
            yield _finding(leak, scan)


def _comparable(shape: tuple[int, ...], kind: str) -> bool:
    return kind == "float" and len(shape) == 1


def _finding(leak: Leak, scan: DataScan) -> Finding:
    training = scan.training
    return Finding(
        f"feature {leak.feature} of the input is the target but for scale and shift: their correlation over "
        f"{leak.samples} samples is {leak.correlation:.5f}",
        location=leak.location or (training.location if training else None),
        subject=f"feature {leak.feature}",
        evidence=(
            Evidence("correlation with the target", leak.correlation, leak.next),
            Evidence("next best feature", leak.next),
        ),
        fix=Fix(
            "take the feature out of the inputs",
            f"The next best feature correlates by {leak.next:.2f}: that is what there is to learn from.",
            f"keep = [i for i in range(x.shape[1]) if i != {leak.feature}]\nx = x[:, keep]",
        ),
    )
