from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import DataScan
from dnndoctor.rule import rule


@rule(
    "DAT106",
    Severity.WARNING,
    practice="training-data",
    not_for={"reinforcement": "in reinforcement learning states come again"},
)
def duplicate_samples(scan: DataScan, *, share: float = 0.05, fewest: int = 100) -> Iterator[Finding]:
    """Many training samples are exact copies of others.

    What it measures
        A hash of each sample of the training set, input and target. Where equal samples are no surprise (codes, short
        binary vectors, grids, tokens, rounded small tables) nothing is counted, nor where copies even out the classes.

    Why it matters
        Copies weigh their sample more than others, make the data look larger than it is, and end up on both sides of
        a split, where they make validation look better than it is.

    How to fix it
        Remove copies before the data is split. Is the set repeated as a whole, train for more epochs instead.

    When to ignore it
        Samples were drawn with replacement on purpose.

    References
        Barz and Denzler 2020, Do We Train on Test Data? Purging CIFAR of Near-Duplicates, section 3.
        Lee et al. 2022, Deduplicating Training Data Makes Language Models Better, section 6.
        share: 0.05, Barz and Denzler 2020: CIFAR-10's test images with a twin in the training set are 3 %.
        fewest: 100, this project's choice: samples.
    """
    sets = [each for each in scan.sets if each.role == "training" and each.twins is not None]
    if not sets:
        raise NotExamined("the training samples were not read one by one")
    if all(each.twins is not None and each.twins.natural for each in sets):
        raise NotApplicable("the samples have so few possible values that they repeat by nature")
    if max(each.scanned for each in sets) < fewest:
        raise NotExamined(f"only {max(each.scanned for each in sets)} samples were read")
    for each in sets:
        twins = each.twins
        drawn = each.repeatable is False  # an index gives another sample each time: with replacement, on purpose
        if twins is None or twins.natural or twins.balancing or drawn or each.scanned < fewest:
            continue
        if twins.extra <= share * each.scanned:
            continue
        pairs = ", ".join(f"{b} as {a}" for a, b in twins.first[:3])
        whole = twins.times > 1
        times = f"; every sample occurs {twins.times} times" if whole else f": sample {pairs}"
        yield Finding(
            f"{twins.extra} of {each.scanned} training samples are copies of others{times}",
            location=each.location,
            subject=each.dataset or None,
            evidence=(Evidence("share of copies", twins.extra / each.scanned, share),),
            severity=Severity.INFO if whole else Severity.WARNING,
            fix=Fix(
                "remove the copies before the data is split",
                f"Leaves {each.scanned - twins.extra} samples, each with the same weight.",
                "_, first = np.unique(x.reshape(len(x), -1), axis=0, return_index=True)\nx, y = x[first], y[first]",
            ),
        )
