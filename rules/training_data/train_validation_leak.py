from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import DataScan
from dnndoctor.rule import rule


@rule(
    "DAT107",
    Severity.ERROR,
    practice="training-data",
    not_for={"reinforcement": "in reinforcement learning the policy is tried where it learned"},
)
def train_validation_leak(scan: DataScan, *, share: float = 0.01, fewest: int = 2) -> Iterator[Finding]:
    """Samples that the model is evaluated on are samples that it is trained on.

    What it measures
        Which samples of the evaluation are in the training set, too: by their index where both are parts of one data
        set, or by the same place in memory; else by a hash of the input, unless equal inputs are no surprise. In a
        cross-validation each evaluation is held against its own fold.

    Why it matters
        What the model learned by heart counts as understood. The validation then chooses the model, the epoch and the
        rate that memorise best, and the first honest measure is the one in use.

    How to fix it
        Split once, before anything else is done with the data, and split copies of a sample together.

    When to ignore it
        It is a measure of the training set, next to a validation that was not seen.

    References
        Kapoor and Narayanan 2023, Leakage and the Reproducibility Crisis in Machine-Learning-Based Science, table 1.
        share: 0.01, this project's choice: the catalogue's 1 %, above what chance makes of rounded numbers.
        fewest: 2, this project's choice: samples.
    """
    if not any(each.role == "training" for each in scan.sets):
        raise NotExamined("the training data could not be read")
    if not scan.overlaps:
        raise NotExamined("no evaluation on other data was seen")
    drawn = any(each.repeatable is False for each in scan.sets)
    judged = [each for each in scan.overlaps if not each.natural and (each.by == "place" or not drawn)]
    if not judged:
        raise NotApplicable(
            "the samples have so few possible values that they repeat by nature, or are drawn at random"
        )
    clean = any(each.shared <= share * each.looked_at for each in judged)
    for each in judged:
        if each.shared < fewest or each.shared <= share * each.looked_at:
            continue
        part = each.shared / each.looked_at
        # Without a loader of its own: some training samples were looked at.
        if each.whole or (part == 1.0 and (clean or not each.loader)):
            if each.whole and each.loader and not clean and each.location != each.training_location:
                yield Finding(
                    f"all {each.looked_at} samples of the evaluation are the training set, and no other is evaluated",
                    location=each.location,
                    evidence=(Evidence("share trained on", 1.0, 0.0),),
                    severity=Severity.INFO,
                    fix=Fix("hold a part of the data out", "Only samples that were not trained on show over-fitting."),
                )
            continue
        how = "by index" if each.by == "place" else "by content"
        yield Finding(
            f"{each.shared} of {each.looked_at} evaluation samples ({part:.0%}) are in the training set, too ({how})",
            location=each.location,
            evidence=(Evidence("share trained on", part, 0.0),),
            fix=Fix(
                "split the data into disjoint parts before anything else",
                f"Takes {each.shared} samples that are known by heart out of the measure.",
                "order = torch.randperm(len(data)).tolist()\n"
                "train, val = Subset(data, order[:cut]), Subset(data, order[cut:])",
            ),
        )
