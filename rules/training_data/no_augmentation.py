from collections.abc import Iterator

from dnndoctor.findings import Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import Overfitting, TrainingData
from dnndoctor.measurements.growth import sure
from dnndoctor.rule import rule
from dnndoctor.rules.overfit import NO_HELD_OUT_LOSS, enough_seen, figures


@rule("DAT112", Severity.INFO, practice="training-data", not_for=NO_HELD_OUT_LOSS)
def no_augmentation(
    growth: Overfitting,
    data: TrainingData,
    *,
    many: int = 50_000,
    behind: float = 0.2,
    errors: float = 3.0,
    seen: float = 0.5,
) -> Iterator[Finding]:
    """Few images are shown to the model in the same form again and again, and it does worse on others.

    What it measures
        Whether some samples of the data set, read twice, are the same twice; the number of samples; and the loss of
        copies of the model on held-out samples against that on samples trained on.

    Why it matters
        A shifted, mirrored or cropped image shows the same thing. What the model need not tell apart it learns sooner
        from such images than from any penalty.

    How to fix it
        Add random transformations that keep the label, to the training set alone.

    When to ignore it
        No change of an image keeps its label, or images are augmented inside of the model.

    References
        Krizhevsky et al. 2012, ImageNet Classification with Deep CNNs, section 4.1.
        Shorten and Khoshgoftaar 2019, A Survey on Image Data Augmentation for Deep Learning.
        many: 50000, CIFAR-10's training set, on which augmentation still gains.
        behind: 0.2, healthy fixtures: held-out loss above the training loss by less than 0.1 of what was gained.
        errors: 3.0, this project's choice: standard errors over three held-out quarters, all on the same side.
        seen: 0.5, this project's choice: share of the data set, as fewer samples are over-fitted more.
    """
    if not any(each.kind == "float" and len(each.shape) == 4 for each in data.role("input")):
        raise NotApplicable("the model is given no images")
    if growth.augmented is None:
        raise NotExamined("nobody can tell whether a sample comes in different forms")
    samples = max(growth.length or 0, growth.samples)
    if growth.augmented or samples >= many:
        return
    if not sure(growth.gap, errors) or growth.gap.mean() <= behind * growth.gained:
        return
    enough_seen(growth, seen)
    places = [each.location for each in data.role("input") if each.location is not None]
    yield Finding(
        f"{samples:,} images come in one form each: the loss on held-out ones is "
        f"{growth.held_out_loss[:, -1].mean():.3g}, on those trained on {growth.training_loss[:, -1].mean():.3g}",
        location=places[0] if places else growth.location,
        subject=growth.model,
        evidence=figures(growth),
        fix=Fix(
            "change the training images at random in ways that keep their label",
            "Every epoch then shows other images.",
            "transforms.Compose([transforms.RandomCrop(size, padding=4), transforms.RandomHorizontalFlip(), ...])",
        ),
    )
