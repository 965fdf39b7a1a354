from collections.abc import Iterator

from dnndoctor.findings import Evidence, Finding, Fix, Location, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import DataScan, Loaders, LossTargets
from dnndoctor.rule import rule

CLASSIFYING = (
    "cross_entropy",
    "nll_loss",
    "multi_margin_loss",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
)
PLAIN_ORDERS = ("SequentialSampler", "RandomSampler", "SubsetRandomSampler", "DistributedSampler")


@rule(
    "DAT105",
    Severity.INFO,
    practice="training-data",
    not_for={
        "gan": "in adversarial training labels name real and generated samples",
        "reinforcement": "in reinforcement learning there are no classes to balance",
        "contrastive": "in contrastive training pairs are the labels",
    },
)
def class_imbalance(
    scan: DataScan,
    loaders: Loaders | None,
    *,
    ratio: float = 10.0,
    grave: float = 20.0,
    few_classes: int = 20,
    fewest: int = 200,
) -> Iterator[Finding]:
    """Some classes are rare, and nothing makes up for it.

    What it measures
        How many samples of the training set each class has, where the loss takes one class label per sample; and
        whether class weights, a loss that is weighted afterwards (as focal loss is), a sampler of another kind, or
        batches that are more balanced than the data make up for it.

    Why it matters
        The loss is a mean over samples. Of a class with one sample in a hundred the network may know nothing, at 99 %
        accuracy; its gradient is that of the frequent class.

    How to fix it
        Weight the loss by the inverse of the frequency, or draw rare classes more often.

    When to ignore it
        Only the frequent classes matter, or probabilities are to follow the frequencies.

    References
        Buda, Maki and Mazurowski 2018, A Systematic Study of the Class Imbalance Problem, section 4: oversampling.
        Lin et al. 2017, Focal Loss for Dense Object Detection, section 3.
        ratio: 10.0, Buda et al. 2018, figure 4: accuracy begins to fall at ratios of 10.
        grave: 20.0, this project's choice: a batch of 32 holds one or two of the rare class then.
        few_classes: 20, this project's choice: among more classes some are rare in every collection.
        fewest: 200, this project's choice: samples.
    """
    losses = [each for each in scan.loss_targets if each.function in CLASSIFYING and each.per_sample]
    if not losses:
        raise NotApplicable("no loss takes one class label per sample")
    training = scan.training
    classes = training.targets.classes if training is not None and training.targets is not None else ()
    loss = next((each for each in losses if _same_labels(each, classes)), None)
    if loss is None:
        raise NotExamined("the classes of the training set are not known")
    total, most, least = sum(n for _, n in classes), max(n for _, n in classes), min(n for _, n in classes)
    if total < fewest:
        raise NotExamined(f"only {total} labels were read")
    if most <= ratio * least:
        return
    loader = loaders.training if loaders else None
    if loss.weighted:
        raise NotApplicable("the loss is weighted")
    if (loader is not None and loader.sampler not in PLAIN_ORDERS) or _balanced(loss, most / least):
        raise NotApplicable("rare classes are drawn more often")
    rare = min(classes, key=lambda each: each[1])[0]
    grave_one = most > grave * least and len(classes) <= few_classes
    yield Finding(
        f"the most frequent class has {most} samples, class {rare:g} has {least}: {most / least:.0f} to 1, unweighted",
        location=loss.location or _place(scan),
        subject=f"class {rare:g}",
        evidence=(Evidence("most to least frequent class", most / least, ratio),),
        severity=Severity.WARNING if grave_one else Severity.INFO,
        fix=Fix(
            "weight the classes, or draw rare ones more often",
            f"Class {rare:g} is {least / total:.1%} of the samples, and as much of the gradient.",
            "counts = torch.bincount(y_train)\ncriterion = nn.CrossEntropyLoss(weight=counts.sum() / counts)"
            if loss.classes
            else "criterion = nn.BCEWithLogitsLoss(pos_weight=(y_train == 0).sum() / (y_train == 1).sum())",
        ),
    )


def _place(scan: DataScan) -> Location | None:
    return scan.training.location if scan.training else None


def _same_labels(loss: LossTargets, classes: tuple[tuple[float, int], ...]) -> bool:
    """The loss is given the labels as they are in the data set."""
    return bool(classes) and {value for value, _ in loss.values} <= {value for value, _ in classes}


def _balanced(loss: LossTargets, ratio: float) -> bool:
    """The watched batches hold the classes far more evenly than the data set does."""
    counts = [count for _, count in loss.values]
    return len(counts) > 1 and max(counts) / min(counts) < ratio / 4
