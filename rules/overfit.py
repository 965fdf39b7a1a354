"""What the rules on over-fitting have in common: when it is harm for certain, and in words."""

from dnndoctor.findings import Evidence, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import Overfitting

NO_HELD_OUT_LOSS = {
    "gan": "in adversarial training the loss on other samples says nothing: two networks work against each other",
    "reinforcement": "in reinforcement learning the samples are the model's own doing",
    "diffusion": "the loss holds fresh noise in every pass, and a held-out one is no measure",
    "variational": "the loss holds a draw in every pass, and a prior restrains the model already",
    "contrastive": "the loss compares samples with each other, and a held-out one is no measure",
}


def unrestrained(growth: Overfitting) -> None:
    """Raises NotApplicable where something is there against over-fitting already."""
    if growth.restraints:
        raise NotApplicable(f"over-fitting is restrained already by {', '.join(growth.restraints)}")
    if growth.augmented:
        raise NotApplicable("over-fitting is restrained already: samples come in different forms")


def enough_seen(growth: Overfitting, share: float) -> None:
    """Raises NotExamined where the trainings saw so little of the data that the whole of it may not over-fit."""
    coverage = growth.coverage
    if coverage is None:
        raise NotExamined("it is not known how many samples there are")
    if coverage < share:
        raise NotExamined(
            f"{growth.samples:,} of {growth.length or 0:,} samples were seen: on all of them there is less over-fitting"
        )


def certain(growth: Overfitting, more_errors: float) -> bool:
    """Whether it happens within the epochs that the run is meant to have, and shows in the classes, too."""
    planned = growth.planned_epochs is not None and growth.epochs <= 1.05 * growth.planned_epochs
    gap = growth.error_gap
    return planned and (gap is None or bool((gap > 0).all() and gap.mean() >= more_errors))


def gravity(sure: bool) -> Severity:
    """A warning for what is certain, else information."""
    return Severity.WARNING if sure else Severity.INFO


def risen(growth: Overfitting) -> str:
    """The course of the held-out loss in words."""
    held, training = growth.held_out_loss.mean(0), growth.training_loss.mean(0)
    return (
        f"on held-out samples the loss falls to {held[growth.best]:.3g} by step {growth.marks[growth.best]} and rises "
        f"to {held[-1]:.3g} by step {growth.marks[-1]}, while on those trained on it falls to {training[-1]:.3g}"
    )


def figures(growth: Overfitting) -> tuple[Evidence, ...]:
    """The losses that the verdict rests on."""
    held, training = growth.held_out_loss.mean(0), growth.training_loss.mean(0)
    found = [
        Evidence("held-out loss at the end", float(held[-1]), float(held[growth.best])),
        Evidence("training loss at the end", float(training[-1])),
        Evidence("epochs", growth.epochs),
    ]
    if growth.held_out_error is not None:
        found.append(Evidence("held-out errors", float(growth.held_out_error[:, -1].mean())))
    return tuple(found)
