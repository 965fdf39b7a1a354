"""The learning rate that goes with another batch."""

from dnndoctor.changes import Change
from dnndoctor.measurements import LearningRateSweep, Optimizer, Optimizers
from dnndoctor.rules.learning_rate.sweep_reading import one_digit, rate_written

ROOT_SCALED = ("adam", "nadam", "radam", "rmsprop", "adagrad", "lion")
CLEAR = 3.0  # times below the rate at which training diverges with the batches as they are


def root_scaled(optimizer: Optimizer) -> bool:
    """Whether its rate goes with the root of the batch, since it divides by the gradient's size."""
    return optimizer.name.lower().startswith(ROOT_SCALED)


def scaled_rate(optimizers: Optimizers | None, sweep: LearningRateSweep | None, factor: float) -> str | None:
    """The rate for batches ``factor`` times as large, to one digit; None where there is not one rate that is known,
    or a warm-up leads to it.

    Linear for SGD (Goyal et al. 2017, section 2.1), the root for Adam and its relatives (Malladi et al. 2022). The
    linear rule ends where curvature and not noise limits the rate: it is held clear of where training diverged.
    """
    main = optimizers.main if optimizers is not None and optimizers.all else None
    if main is None or len(set(main.learning_rates)) != 1 or main.learning_rates[0] <= 0:
        return None
    rate = main.learning_rates[0]
    if main.warming_up or main.peak_rate > 1.01 * rate:
        return None
    highest = rate * (factor**0.5 if root_scaled(main) else factor)
    edge = sweep.diverging_rate if sweep is not None and sweep.optimizer == main.name else None
    held = min(highest, edge / CLEAR) if edge is not None else rate * factor**0.5
    return one_digit(max(held, rate))


def with_rate(optimizers: Optimizers | None, rate: str | None) -> tuple[Change, ...]:
    """Where that rate is written."""
    if optimizers is None or rate is None:
        return ()
    return rate_written("lr", rate, optimizers.main)
