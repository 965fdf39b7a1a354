from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import DataScan, SampleSet
from dnndoctor.rule import rule


@rule(
    "DAT102",
    Severity.WARNING,
    practice="training-data",
    not_for={"reinforcement": "in reinforcement learning the policy decides which states are seen"},
)
def constant_features(
    scan: DataScan, *, fewest: int = 200, filled: float = 0.5, apart: float = 1.0
) -> Iterator[Finding]:
    """Features of a table never change, or are filled up with one value in most samples.

    What it measures
        For each feature of tables of numbers how many samples hold its most frequent value. It is a filler if that
        value takes more than half and lies apart from all others. Images, counts of words and one-hot codes, in which
        many features repeat a value by nature, are left out; so is a single column of ones.

    Why it matters
        A constant feature tells nothing, and divides by zero where features are standardised. A filler such as -999
        is far from the real values: it sets the scale of the feature, and the weights learn the gaps in the table.

    How to fix it
        Drop the feature; replace the filler by the median and add a feature that says where it was.

    When to ignore it
        The feature varies in data that will come later.

    References
        Little and Rubin 2019, Statistical Analysis with Missing Data, section 4.2: filling in one value.
        fewest: 200, this project's choice: samples, below which a rare value may not have come up.
        filled: 0.5, this project's choice: the filler is then the median, and no robust scaling removes it.
        apart: 1.0, this project's choice: standard deviations of the others; zeros of counts lie closer.
    """
    tables = [each for each in scan.sets if each.role == "training" and each.features is not None]
    if not tables:
        raise NotApplicable("the training data is no table of numbers")
    if max(each.scanned for each in tables) < fewest:
        raise NotExamined(f"only {max(each.scanned for each in tables)} samples were read")
    for each in tables:
        features = each.features
        if features is None or each.scanned < fewest or features.constants == features.count:
            continue
        fillers = [one for one in features.filled if one.share > filled and one.gap > apart]
        constant = features.constant if not features.sparse and not _intercept(each) else ()
        if features.sparse and len(fillers) < 1:
            continue
        if constant:
            yield _constant(each)
        if fillers:
            first = fillers[0]
            listed = ", ".join(str(one.index) for one in fillers[:5])
            yield Finding(
                f"{len(fillers)} of {features.count} features are one value in most samples: feature {listed} "
                f"({first.value:.4g} in {first.share:.0%}, {first.gap:.2g} deviations from any other)",
                location=each.location,
                subject=f"feature {first.index}",
                evidence=(
                    Evidence("share of one value", first.share, filled),
                    Evidence("distance", first.gap, None, "std"),
                ),
                fix=Fix(
                    "replace the filler by the feature's median, and mark where it was",
                    f"In {first.share:.0%} of the samples {first.value:.4g} stands for a value that is missing.",
                    f"missing = x[:, {first.index}] == {first.value:.6g}\n"
                    f"x[missing, {first.index}] = x[~missing, {first.index}].median()\n"
                    "x = torch.cat([x, missing.float().unsqueeze(1)], dim=1)",
                ),
            )


def _intercept(each: SampleSet) -> bool:
    """A column of ones takes the place of a bias; a zero among codes is a category that this part lacks."""
    features = each.features
    if features is None:
        return False
    values = [value for _, value in features.constant]
    return values == [1.0] or (features.binary > 0 and all(value in (0.0, 1.0) for value in values))


def _constant(each: SampleSet) -> Finding:
    features = each.features
    assert features is not None
    listed = ", ".join(str(index) for index, _ in features.constant[:5])
    return Finding(
        f"{features.constants} of {features.count} features have one value in all {each.scanned} samples: {listed}",
        location=each.location,
        subject=f"feature {features.constant[0][0]}",
        evidence=(Evidence("constant features", features.constants, 0),),
        fix=Fix(
            "drop the constant features",
            f"{features.constants} of {features.count} inputs cannot tell two samples apart.",
            "keep = x_train.std(0) > 0\nx_train, x_val = x_train[:, keep], x_val[:, keep]",
        ),
    )
