from collections.abc import Iterator

import numpy as np

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import Gradients, LearningRateSweep, Optimizer, Optimizers, Run, Weights
from dnndoctor.rule import rule
from dnndoctor.rules.learning_rate.sweep_reading import own_progress
from dnndoctor.rules.learning_rate.updates import layer_ratios


@rule(
    "LRN108",
    Severity.WARNING,
    practice="learning-rate",
    not_for={
        "gan": "each network of an adversarial pair moves at its own pace",
        "reinforcement": "batches without a reward move nothing",
    },
)
def update_ratio_off(
    gradients: Gradients,
    weights: Weights,
    optimizers: Optimizers,
    sweep: LearningRateSweep | None,
    run: Run | None,
    *,
    least: float = 1e-5,
    most: float = 1e-1,
    low: float = 1e-4,
    high: float = 5e-2,
) -> Iterator[Finding]:
    """The steps are far too small or far too large against the weights that they change.

    What it measures
        The norm of each weight's change over the norm of the weight, median over the watched steps after the tenth, and
        of these the median over the layers. Biases, norms, embeddings and weights drawn small are left out.

    Why it matters
        About a thousandth of the weight per step is typical. A hundred thousand steps for one change of the weights is
        no training, and a tenth of the weight per step is no small step.

    How to fix it
        Change the rate by the factor that brings the ratio to a thousandth.

    When to ignore it
        Pretrained weights are to stay near where they are, or trials at other rates do no better.

    References
        Karpathy, CS231n notes, Neural Networks Part 3, "Ratio of weights:updates": about 1e-3.
        least: 1e-05, thirty healthy runs of this project: none under it before its rate had decayed.
        most: 0.1, thirty healthy runs of this project: none above it.
        low: 0.0001, CS231n notes, one order of magnitude off: an information.
        high: 0.05, seventy healthy runs of this project: small networks go up to 0.03.
    """
    main = optimizers.main
    if main.warming_up or main.closure:
        raise NotApplicable("the rate warms up" if main.warming_up else f"{main.name} searches along a line")
    ratios = layer_ratios(gradients, weights, next(i for i, each in enumerate(optimizers.all) if each is main))
    if not ratios:
        raise NotExamined("too few updates of weights were measured after the first ten steps")
    middle = float(np.median(list(ratios.values())))
    if low <= middle <= high or middle == 0:
        return
    off = not least <= middle <= most
    if middle < low and run is not None and run.pretrained:
        return
    # Harm is what trials at other rates do better; a loss that falls below zero without a floor tells nothing of it.
    harmed = sweep is not None and own_progress(sweep) < 0.5 * sweep.progress and sweep.best_score >= 0
    yield _finding(main, middle, len(ratios), Severity.WARNING if off and harmed else Severity.INFO)


def _finding(main: Optimizer, middle: float, layers: int, severity: Severity) -> Finding:
    better = main.peak_rate * 1e-3 / middle
    what = "small" if middle < 1e-3 else "large"
    return Finding(
        f"the median layer changes by {middle:.1g} of its weights per step, which is {what}: about 0.001 is typical",
        location=main.rate_location or main.location,
        subject=main.name,
        evidence=(Evidence("update to weight, median layer", middle, 1e-3), Evidence("layers", layers)),
        fix=Fix(
            f"{'raise' if middle < 1e-3 else 'lower'} the rate",
            f"A rate of {better:.0e} would change the median layer by a thousandth per step.",
            f"lr={float(f'{better:.0e}'):g}",
        ),
        severity=severity,
    )
