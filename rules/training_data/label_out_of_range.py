from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import DataScan, LossTargets, RefusedTargets
from dnndoctor.rule import rule

BINARY = ("binary_cross_entropy", "binary_cross_entropy_with_logits")


@rule("DAT108", Severity.ERROR, practice="training-data")
def label_out_of_range(
    scan: DataScan | None,
    refused: RefusedTargets | None,
    *,
    lowest: float = -0.5,
    highest: float = 1.5,
    rare: float = 0.05,
) -> Iterator[Finding]:
    """A label lies outside of what the loss knows: no such class, or no probability.

    What it measures
        The labels that a loss over class indices was given, and those of the whole training set where they are the
        same labels, against the number of outputs and the ignored index; the targets of a binary cross-entropy
        against the range from 0 to 1. Where the loss or an embedding raised and ended the program, what it was given
        then.

    Why it matters
        On a CPU such a class ends the program when its batch comes, on a GPU in an assertion far from the line. A
        binary cross-entropy takes any target: with -1 or 2 its minimum lies at infinity, and the loss falls for ever.

    How to fix it
        Number the classes from 0 without gaps, or give the model as many outputs as there are classes.

    When to ignore it
        Never.

    References
        PyTorch, torch.nn.CrossEntropyLoss: class indices in the range [0, C); torch.nn.BCELoss: targets in [0, 1].
        lowest: -0.5, this project's choice: soft labels on purpose lie closer to 0.
        highest: 1.5, Salimans et al. 2016, Improved Techniques for Training GANs: soft labels, up to 1.2 in use.
        rare: 0.05, this project's choice: share of labels that the watched steps may not have met.
    """
    if refused is not None and refused.targets.function == "embedding":
        yield from _ids(refused.targets)
        return
    if refused is not None:
        yield from _indices(refused.targets, None, rare)
        return
    if scan is None:
        raise NotExamined("neither the training set nor the labels of a batch were seen")
    losses = [each for each in scan.loss_targets if each.classes > 1 or each.function in BINARY]
    if not losses:
        raise NotApplicable("no loss takes class indices or probabilities")
    if not any(each.values for each in losses):
        raise NotExamined("no target of the loss was seen")
    for each in losses:
        if each.classes > 1 and each.kind != "float":
            yield from _indices(each, scan, rare)
        elif each.function in BINARY and not each.weighted:
            values = {value for value, _ in each.values}
            if min(values) < lowest or max(values) > highest:
                yield Finding(
                    f"targets of {each.function} run from {min(values):g} to {max(values):g}, outside of 0 to 1",
                    location=each.location,
                    evidence=(Evidence("lowest", min(values), 0.0), Evidence("highest", max(values), 1.0)),
                    fix=Fix(
                        "map the labels to 0 and 1",
                        f"With targets of {min(values):g} and {max(values):g} the loss has no minimum.",
                        f"y = (y == {max(values):g}).float()",
                    ),
                )


def _labels(loss: LossTargets, scan: DataScan, rare: float) -> list[float]:
    """All labels of the training set, if the loss is given them as they are: all but rare ones were met."""
    targets = scan.training.targets if scan.training else None
    counts = dict(targets.classes) if targets else {}
    met = {value for value, _ in loss.values}
    unmet = sum(count for value, count in counts.items() if value not in met)
    return list(counts) if met <= counts.keys() and unmet <= rare * sum(counts.values()) else []


def _ids(given: LossTargets) -> Iterator[Finding]:
    """Of an embedding that raised."""
    wrong = [value for value, _ in given.values if not 0 <= value < given.classes]
    if wrong:
        worst = max(wrong) if max(wrong) >= given.classes else min(wrong)
        yield Finding(
            f"id {worst:g} has no row: the embedding has {given.classes}, 0 to {given.classes - 1}",
            location=given.location,
            evidence=(Evidence("id", worst, given.classes - 1), Evidence("rows", given.classes)),
            fix=Fix(
                "give the embedding a row for each id, those for padding and unknown words too",
                f"The ids of this batch need {max(wrong) + 1:g} rows." if max(wrong) >= given.classes else "",
                "nn.Embedding(int(ids.max()) + 1, width)",
            ),
        )


def _indices(loss: LossTargets, scan: DataScan | None, rare: float) -> Iterator[Finding]:
    known = {value for value, _ in loss.values} | set(_labels(loss, scan, rare) if scan else ())
    wrong = sorted(value for value in known if not 0 <= value < loss.classes and value != loss.ignored)
    if wrong:
        yield Finding(
            f"label {wrong[-1] if wrong[-1] >= loss.classes else wrong[0]:g} has no output: the loss chooses from "
            f"{loss.classes} classes, 0 to {loss.classes - 1}",
            location=loss.location,
            evidence=(Evidence("label", wrong[-1]), Evidence("classes", loss.classes)),
            fix=Fix(
                "number the classes from 0, or give the model an output for each",
                f"{len(wrong)} labels lie outside of 0 to {loss.classes - 1}.",
                "labels, y = torch.unique(y, return_inverse=True)  # as many outputs as len(labels)",
            ),
        )
