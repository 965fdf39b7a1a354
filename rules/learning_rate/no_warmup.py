from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import Activations, Groups, Optimizers, Steps
from dnndoctor.rule import rule
from dnndoctor.rules.learning_rate.sweep_reading import NO_FALLING_LOSS


@rule("LRN107", Severity.INFO, practice="learning-rate", not_for=NO_FALLING_LOSS)
def no_warmup(
    activations: Activations,
    optimizers: Optimizers,
    groups: Groups,
    steps: Steps,
    *,
    high: float = 3e-4,
    unsteady: float = 1.1,
    spike: float = 1.5,
    noises: float = 3.0,
    fewest: int = 20,
) -> Iterator[Finding]:
    """An attention model starts at its full rate under Adam, and its loss rises in the first steps.

    What it measures
        Whether the model attends, the rate of the first step against the peak, and the median of three losses in a row
        against the first loss, which was there before any step. A loss that falls from the start is sound without a
        warm-up, and a rise that the difference between batches explains is none.

    Why it matters
        Adam's estimate of the gradient's size rests on a few batches at first, and layer norms make the first gradients
        large: the first steps go too far and have to be undone.

    How to fix it
        Let the rate rise over the first few hundred steps.

    When to ignore it
        The rise belongs to the data: the first batches are easier than the next.

    References
        Xiong et al. 2020, On Layer Normalization in the Transformer Architecture, section 3. Liu et al. 2020, RAdam.
        high: 0.0003, the rule catalogue of this project: rates at which published transformers do without.
        unsteady: 1.1, this project's choice: a rise of the loss beyond the noise of batches.
        spike: 1.5, this project's choice: a rise that takes many steps to make up for, a warning.
        noises: 3.0, this project's choice: standard deviations between batches that a rise must stand clear of.
        fewest: 20, this project's choice: steps that tell.
    """
    main = optimizers.main
    if not activations.transformer:
        raise NotApplicable("the model has no attention")
    if "adam" not in main.name.lower() or main.peak_rate <= high:
        raise NotApplicable(f"not Adam at a rate above {high:g}")
    index = next(i for i, each in enumerate(optimizers.all) if each is main)
    rates = groups.optimizers[index].rates if index < len(groups.optimizers) else np.zeros((0, 0))
    if len(steps.loss) < fewest or not len(rates):
        raise NotExamined(f"fewer than {fewest} steps were watched")
    if main.warming_up or rates[0].max() < 0.5 * main.peak_rate:
        return
    loss = steps.loss[np.isfinite(steps.loss)]
    if len(loss) < fewest or loss.min() <= 0:
        raise NotExamined("the loss is not positive in all steps, so that its rise cannot be judged")
    # Adam's first step is its longest, so that the second loss is part of the rise already.
    start, medians = float(loss[0]), np.median(np.lib.stride_tricks.sliding_window_view(loss, 3), axis=1)
    worst = float(medians.max() / start)
    if worst < unsteady or medians.max() - start < noises * _between_batches(loss):
        return
    yield Finding(
        f"{main.name} starts at its full rate of {main.peak_rate:.3g}, and the loss rises to {worst:.2g} times that "
        "of the start",
        location=main.rate_location or main.location,
        subject=main.name,
        evidence=(Evidence("loss at its worst against the start", worst, 1.0), Evidence("rate", main.peak_rate)),
        fix=Fix(
            "warm up",
            "The first steps go less far, while Adam knows little of the gradients.",
            "warmup = torch.optim.lr_scheduler.LinearLR(optimizer, 0.01, 1.0, total_iters=200)  # step it per batch",
        ),
        severity=Severity.WARNING if worst >= spike else Severity.INFO,
    )


def _between_batches(loss: NDArray[np.float64]) -> float:
    """The standard deviation of a loss between batches, from the steps after the first ones: their course aside."""
    return float(np.diff(loss[len(loss) // 2 :]).std() / np.sqrt(2))
