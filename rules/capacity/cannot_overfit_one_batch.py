from collections.abc import Iterator

import numpy as np

from dnndoctor.findings import Evidence, Finding, Fix, Location, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import Layers, Loss, Losses, OneBatch, OneBatchTrial, TrainingLoop
from dnndoctor.rule import rule

FLOOR_UNKNOWN = {
    "gan": "in adversarial training the loss need not fall: two networks work against each other",
    "reinforcement": "in reinforcement learning the loss need not fall: it is no measure of the reward",
    "contrastive": "a contrastive loss has no floor that is known",
    "variational": "a variational bound stays above zero by what the noise costs, which is not known",
    "diffusion": "noise is drawn anew at every step, and no model predicts all of it",
}
FALLS_TO_ZERO = ("cross_entropy", "nll_loss", "binary_cross_entropy", "mse_loss", "l1_loss", "smooth_l1", "huber")
NARROW = 8  # times narrower than the widest: a bottleneck


@rule("CAP101", Severity.WARNING, practice="capacity", not_for=FLOOR_UNKNOWN)
def cannot_overfit_one_batch(
    one: OneBatch,
    losses: Losses,
    layers: Layers | None,
    loop: TrainingLoop | None,
    *,
    share: float = 0.5,
    falling: float = 0.1,
    stalled: float = 0.01,
    fewest: int = 100,
) -> Iterator[Finding]:
    """The model cannot learn a single batch by heart.

    What it measures
        One batch served for up to 200 steps, at your rate, at the best measured one and a third of it, and once more
        without dropout if none learns it. Reported is a loss that came less than half of the way to its floor, and has
        stopped falling. What contradicting samples cost is taken off the way.

    Why it matters
        A few dozen samples are less than any network of use can hold. One that cannot learn them has a fault on the way
        from its input to the loss, or too few units, and no amount of data will help it.

    How to fix it
        Mend the other findings first: nearly every fault of the loss, the data or the rate shows here too. If there
        are none, widen the narrowest layer.

    When to ignore it
        The loss has a floor of its own that this rule does not know.

    References
        Karpathy 2019, A Recipe for Training Neural Networks, section 2: overfit one batch.
        share: 0.5, this project's choice: of the way from the first loss to the floor.
        falling: 0.1, this project's choice: of that way, in the last third of the steps: it is still learning.
        stalled: 0.01, measured on labels drawn at random for images of noise, which small sound networks learn slowly:
        0.02; below it, or where a layer is a bottleneck, it is a warning, else information.
        fewest: 100, this project's choice: steps below which nothing is said.
    """
    loss, best = losses.main, one.best
    if any(each.learned or 0 <= each.final <= (1 - share) * each.start for each in one.trials):
        return  # half of the way to zero, whatever the floor
    if not loss.plain or not loss.function.startswith(FALLS_TO_ZERO):
        raise NotExamined("the loss did not fall to a tenth, and its floor is not known")
    if layers is not None and len([each for each in layers.layers if each.kind != "norm"]) < 2:
        raise NotApplicable("the model is a single layer, which learns by heart only what is linear")
    if best.steps < fewest and np.isfinite(best.final):
        raise NotExamined(f"there was time for {best.steps} steps on one batch")
    way = best.start - _floor(one, loss)
    if way <= 0 or not np.isfinite(best.start):
        raise NotExamined("the loss was at its floor from the start")
    reached = (best.start - best.final) / way if np.isfinite(best.final) else 0.0
    fall = _late_fall(best) / way
    if reached >= share or fall > falling:
        return
    where, narrowest, bottleneck = _place(layers, loop, loss.classes or 0)
    size = f"one batch of {one.samples}" if one.samples else "one batch"
    yield Finding(
        f"{best.steps} steps on {size} bring the loss from {best.start:.3g} to {best.final:.3g} only, at the best of "
        f"{len({each.rate for each in one.trials})} rates",
        location=where,
        subject=loop.models[0].name if loop and loop.models else None,
        evidence=(
            Evidence("loss after the steps", best.final, best.start - share * way),
            Evidence("loss at the start", best.start),
            Evidence("learning rate", best.rate),
        ),
        fix=Fix(
            "mend the findings above, else widen the model",
            f"A sound model brings this batch below {best.start - 0.9 * way:.2g}"
            + (f"; the narrowest layer is {narrowest}." if narrowest else "."),
        ),
        severity=Severity.WARNING if bottleneck or fall <= stalled else Severity.INFO,
    )


def _floor(one: OneBatch, loss: Loss) -> float:
    """What contradicting samples cost at least."""
    if loss.function.startswith("mse"):
        return one.variance or 0.0
    return one.entropy or 0.0


def _late_fall(trial: OneBatchTrial) -> float:
    """How far the loss fell from the second third of the steps to the last one."""
    third = len(trial.curve) // 3
    if third < 3 or not np.isfinite(trial.final):
        return 0.0
    return float(np.median(trial.curve[-2 * third : -third]) - np.median(trial.curve[-third:]))


def _place(layers: Layers | None, loop: TrainingLoop | None, classes: int) -> tuple[Location | None, str | None, bool]:
    """The narrowest hidden layer if it is a bottleneck, else the model; the layer's name; whether it is one."""
    model = loop.models[0].location if loop and loop.models else None
    hidden = [each for each in layers.hidden if not each.residual] if layers is not None else []
    narrowest = min(hidden, key=lambda each: each.outputs, default=None)
    if narrowest is None:
        return model, None, False
    bottleneck = narrowest.outputs < classes or NARROW * narrowest.outputs <= max(each.outputs for each in hidden)
    name = f"{narrowest.name} with {narrowest.outputs} units"
    return (narrowest.location if bottleneck or model is None else model), name, bottleneck
