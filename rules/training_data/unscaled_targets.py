from collections.abc import Iterator

import numpy as np

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import DataTensor, Losses, Steps, TrainingData
from dnndoctor.rule import rule

DISTANCES = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")


@rule(
    "DAT111",
    Severity.WARNING,
    practice="training-data",
    not_for={
        "reinforcement": "in reinforcement learning the targets are values of the reward's own scale",
        "gan": "in adversarial training the targets name real and generated samples",
    },
)
def unscaled_targets(
    data: TrainingData,
    losses: Losses,
    steps: Steps,
    *,
    largest_std: float = 10.0,
    smallest_std: float = 0.01,
    largest_offset: float = 3.0,
    learned: float = 0.9,
    fewest: int = 20,
) -> Iterator[Finding]:
    """Regression targets are far from the scale of what a network puts out, and the loss shows it.

    What it measures
        Mean and standard deviation of the targets of a distance loss, and the loss of the last watched steps against
        that of the best constant guess. Targets of another scale are a finding only while the network has not even
        learned their mean and spread.

    Why it matters
        A new network puts out numbers near zero with a spread near one. Until it reaches the targets' scale it learns
        that scale and nothing else, with gradients that grow with it; or its first outputs drown targets that are tiny.

    How to fix it
        Subtract the mean and divide by the standard deviation of the training targets; undo it for what is reported.

    When to ignore it
        The unit of the targets has to stay, and the rate was chosen for it.

    References
        Bishop 1995, Neural Networks for Pattern Recognition, section 8.2: pre-processing of targets.
        largest_std: 10.0, this project's catalogue; diabetes progression as it stands in the table has 77.
        smallest_std: 0.01, this project's catalogue: a hundredth of what a new network puts out.
        largest_offset: 3.0, this project's catalogue, and only for means over largest_std.
        learned: 0.9, this project's choice: of the best constant's loss; below it something else is learned.
        fewest: 20, this project's choice: steps.
    """
    loss = losses.main
    if loss.function not in DISTANCES:
        raise NotApplicable("the loss is no distance to a target")
    targets = [each for each in data.role("target") if each.name == f"target of {loss.function}" and each.std > 0]
    if not targets or targets[0].kind != "float":
        raise NotApplicable("the targets are no varying numbers")
    if loss.reduction != "mean" or loss.terms != 1:
        raise NotExamined("the loss is more than the mean over its targets")
    target = targets[0]
    if any(_same_tensor(target, each) for each in data.role("input")):
        raise NotApplicable("the targets are the inputs")
    values = steps.loss[np.isfinite(steps.loss)]
    if len(values) < fewest:
        raise NotExamined(f"only {len(values)} losses were seen")
    scale = target.std if loss.function != "mse_loss" else target.std**2
    constant = scale * (0.6 if loss.function == "l1_loss" else 1.0)
    if loss.function in ("smooth_l1_loss", "huber_loss"):
        constant = 0.6 * target.std if target.std > 1 else 0.5 * target.std**2
    end = float(np.median(values[-10:]))
    offset = abs(target.mean) > max(largest_offset * target.std, largest_std)
    if not (target.std > largest_std or target.std < smallest_std or offset) or end <= learned * constant:
        return
    yield Finding(
        f"regression targets have mean {target.mean:.3g} and standard deviation {target.std:.3g}, and after "
        f"{len(values)} steps the loss of {end:.3g} is no better than that of a constant, {constant:.3g}",
        location=target.location,
        subject=target.name,
        evidence=(
            Evidence("target mean", target.mean, 0.0),
            Evidence("target std", target.std, 1.0),
            Evidence("loss to that of a constant", end / constant, learned),
        ),
        fix=Fix(
            "standardise the targets with the training split's mean and deviation",
            f"Takes mean {target.mean:.3g} and deviation {target.std:.3g} to 0 and 1, where the network starts.",
            "mean, std = y_train.mean(0), y_train.std(0)\ny = (y - mean) / std  # report: prediction * std + mean",
        ),
    )


def _same_tensor(one: DataTensor, other: DataTensor) -> bool:
    return one.shape[1:] == other.shape[1:] and _same(one.mean, other.mean) and _same(one.std, other.std)


def _same(one: float, other: float) -> bool:
    return abs(one - other) <= 0.02 * max(abs(one), abs(other), 1e-9)
