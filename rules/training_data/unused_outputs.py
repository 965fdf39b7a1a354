from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import DataScan
from dnndoctor.rule import rule


@rule(
    "DAT109",
    Severity.INFO,
    practice="training-data",
    not_for={
        "contrastive": "in contrastive training the outputs are the samples of a batch",
        "reinforcement": "in reinforcement learning the policy decides which actions are seen",
    },
)
def unused_outputs(scan: DataScan, *, per_class: int = 20, most_classes: int = 1000) -> Iterator[Finding]:
    """The model has outputs for classes that no label names.

    What it measures
        The labels of the whole training set against the outputs that the loss chooses from, where there is one label
        per sample. Losses over tokens are left out: a vocabulary is larger than any text.

    Why it matters
        Unused outputs do no harm by themselves. They often mean that labels start at 1, that a part of the data was
        lost, or that the head is that of another task.

    How to fix it
        Number the classes from 0 without gaps and make the head as large as they are many.

    When to ignore it
        The label map is fixed, and the missing classes come later.

    References
        PyTorch, torch.nn.CrossEntropyLoss: C classes, indices in [0, C).
        per_class: 20, this project's choice: samples per output; a rare class may be missing in a small set.
        most_classes: 1000, this project's choice: more are vocabularies or identities.
    """
    losses = [each for each in scan.loss_targets if each.per_sample and each.kind != "float"]
    losses = [each for each in losses if 2 < each.classes <= most_classes]
    if not losses:
        raise NotApplicable("no loss takes one class label per sample")
    training = scan.training
    labels = {value for value, _ in training.targets.classes} if training and training.targets else set()
    if training is None or not labels or training.scanned < (training.length or 0):
        raise NotExamined("the labels of the whole training set are not known")
    for each in losses:
        unused = [index for index in range(each.classes) if index not in labels]
        seen = {value for value, _ in each.values}
        if not unused or not seen <= labels or training.scanned < per_class * each.classes:
            continue
        listed = ", ".join(map(str, unused[:5])) + (", ..." if len(unused) > 5 else "")
        yield Finding(
            f"{len(unused)} of {each.classes} outputs are for classes that no training label names: {listed}",
            location=each.location,
            evidence=(Evidence("unused outputs", len(unused), 0),),
            fix=Fix(
                "make the last layer as wide as there are classes, numbered from 0",
                f"{each.classes - len(unused)} classes occur.",
                "classes, y = torch.unique(y, return_inverse=True)",
            ),
        )
