from collections.abc import Iterator
from math import isfinite, log

import numpy as np

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, Severity
from dnndoctor.measurements import Loss, Losses, Run, Steps
from dnndoctor.rule import rule
from dnndoctor.rules.naming import attribute

CLASSIFICATION = ("cross_entropy", "nll_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits")
NO_CONSTANT_GUESS = {
    "gan": "in adversarial training there is no constant guess to compare with",
    "reinforcement": "in reinforcement learning there is no constant guess to compare with",
    "contrastive": "in contrastive training the loss depends on the batch, so that no constant guess compares",
    "variational": "in variational training a divergence is added, so that no constant guess compares",
    "diffusion": "in diffusion training the target is noise, so that no constant guess says anything",
}


@rule("INI106", Severity.WARNING, practice="weight-initialization", not_for=NO_CONSTANT_GUESS)
def bad_initial_loss(
    losses: Losses,
    run: Run | None,
    steps: Steps | None = None,
    *,
    remark: float = 0.10,
    high: float = 0.25,
    severe: float = 1.0,
    errors: float = 1.0,
    soon: int = 20,
) -> Iterator[Finding]:
    """The loss before the first step is far above that of a constant guess.

    What it measures
        The loss of the first batch, less its sampling error, relative to that of the best constant guess: for classes
        the larger of ln(classes) and the targets' entropy. Only for a plain mean loss with nothing added, and for
        weights that were not loaded. In regression it is a remark at most: unscaled targets alone lift the loss.
        So it is where the watched steps already made up for it.

    Why it matters
        A model that is confidently wrong before it has seen anything spends its first steps unlearning that.

    How to fix it
        Draw the last layer's weights small; in regression set its bias to the targets' mean.

    When to ignore it
        The excess is gone after some dozens of steps.

    References
        Karpathy 2019, A Recipe for Training Neural Networks: verify loss at init.
        remark: 0.10, measured on 20 sound runs: all but two at 0.025 or less, those at 0.10 and 0.165.
        high: 0.25, measured on 20 sound runs: half as much again as the largest.
        severe: 1.0, this project's choice: twice the loss of a blind guess. In regression the only band, and a remark.
        errors: 1.0, this project's choice: standard errors of the first batch's loss that are taken off it.
        soon: 20, measured on a sound deep network: a start at 2.5 times the guess is made up for within 40 steps.
    """
    loss = losses.main
    _check(loss, losses, run)
    classes = loss.function in CLASSIFICATION
    reference = max(_blind(loss), loss.best_constant or 0.0) if classes else loss.best_constant or 0.0
    if reference <= 0:
        raise NotApplicable("all targets are the same: a constant guess has no loss")
    excess = loss.value * (1 - errors * loss.spread) / reference - 1
    if not isfinite(excess) or excess <= (remark if classes else severe):
        return
    lookup = bool(loss.chain) and loss.chain[-1].name == "embedding"  # a product of embeddings, N(0, 1) by default
    remarkable = not classes or lookup or _gone(steps, reference * (1 + remark), soon)
    band = Severity.ERROR if excess > severe else Severity.WARNING if excess > high else Severity.INFO
    yield Finding(
        f"the loss starts at {loss.value:.3g}, {loss.value / reference:.2g} times a constant guess's {reference:.3g}",
        location=loss.output_location or loss.location,
        subject=loss.output_layer,
        evidence=(Evidence("initial loss", loss.value, reference), Evidence("relative excess", excess, remark)),
        fix=_fix(loss, classes),
        severity=Severity.INFO if remarkable else band,
    )


def _gone(steps: Steps | None, limit: float, soon: int) -> bool:
    """The median loss of the steps up to twice ``soon`` is that of a constant guess, or less."""
    early = steps.loss[soon : 2 * soon] if steps is not None else np.zeros(0)
    return len(early) >= soon // 2 and float(np.median(early)) <= limit


def _check(loss: Loss, losses: Losses, run: Run | None) -> None:
    if run is not None and run.pretrained:
        raise NotApplicable("the weights were loaded")
    if loss.terms > 1 or len(losses.all) > 1:
        raise NotApplicable("several losses are added")
    if not loss.plain or loss.reduction != "mean":
        raise NotApplicable("the loss is weighted, smoothed, summed or has terms added")
    if loss.cosines:
        raise NotApplicable("the scores are cosines, whose scale and margins set the loss at the start")
    if loss.best_constant is None:
        raise NotApplicable(f"the loss of a constant guess is not known for {loss.function}")


def _blind(loss: Loss) -> float:
    """Loss of equal probabilities: a sound start whatever the classes' shares are."""
    return log(max(loss.classes or 2, 2)) if loss.function in CLASSIFICATION[:2] else log(2)


def _fix(loss: Loss, classes: bool) -> Fix:
    layer = attribute(loss.output_layer) if loss.output_layer else "model.head"
    if classes:
        return Fix(
            "Initialise the last layer small",
            "Scores near zero make equal probabilities, and the loss starts at that of a blind guess.",
            f"nn.init.normal_({layer}.weight, std=0.01)\nnn.init.zeros_({layer}.bias)",
        )
    mean = f"{loss.target_mean:.4g}" if loss.target_mean is not None else "targets.mean().item()"
    return Fix(
        "Start the output bias at the targets' mean, or standardise the targets",
        "The first steps then go into what differs between samples.",
        f"nn.init.constant_({layer}.bias, {mean})",
    )
