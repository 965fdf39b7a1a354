"""What a learning-rate sweep says, in words and with the doubts that its noise leaves."""

import numpy as np
from numpy.typing import NDArray

from dnndoctor.changes import Change, SetArgument
from dnndoctor.findings import Evidence, Fix, NotApplicable
from dnndoctor.measurements import LearningRateSweep, Optimizer, Optimizers, Steps

NO_FALLING_LOSS = {
    "gan": "in adversarial training the loss need not fall: two networks work against each other",
    "reinforcement": "in reinforcement learning the loss need not fall: it is no measure of the reward",
}


def swept_optimizer(sweep: LearningRateSweep, optimizers: Optimizers, ran_away: bool = False) -> Optimizer:
    """The optimizer that was swept. Raises NotApplicable where its rate is no matter of a sweep.

    A warm-up excuses what trials say of a rate, but no loss of the user's own steps that ran away.
    """
    found = next((each for each in optimizers.all if each.name == sweep.optimizer), optimizers.main)
    if found.warming_up and not ran_away:
        raise NotApplicable("the rate warms up, and trials hold one rate from the first step on")
    return found


def learns(sweep: LearningRateSweep, noises: float, share: float) -> bool:
    """Whether the best rate's progress stands clear of the noise and of the loss at the start."""
    return bool(sweep.progress > max(noises * sweep.noise, share * abs(sweep.start)))


def bottomless(sweep: LearningRateSweep, times: float = 10.0) -> bool:
    """Whether the best rate took the loss many times its start below zero: it has no floor."""
    return bool(sweep.best_score < -times * max(abs(sweep.start), 1.0))


def own_progress(sweep: LearningRateSweep) -> float:
    """Progress at the user's rate; minus infinity where it diverged or was dropped as hopeless."""
    return sweep.user_progress if np.isfinite(sweep.user_progress) else -np.inf


def suggestion(sweep: LearningRateSweep) -> tuple[float, float]:
    """A measured rate that will also hold later on, with its loss.

    The best rate of a few steps is often too high for many: in nine sweeps over 20 steps two of the best rates
    ruined 15 epochs, a third of them none. So the rate nearest to a third of it that makes half of its progress.
    """
    good = np.isfinite(sweep.scores) & (sweep.start - sweep.scores >= sweep.progress / 2) & (sweep.rates > 0)
    if not good.any():
        return sweep.best_rate, sweep.best_score
    rates, scores = sweep.rates[good], sweep.scores[good]
    nearest = int(np.argmin(np.abs(np.log(rates / (sweep.best_rate / 3)))))
    return float(rates[nearest]), float(scores[nearest])


def one_digit(rate: float) -> str:
    """A rate as people write it: its first digit only."""
    return f"{float(f'{rate:.0e}'):g}"


def outcome(sweep: LearningRateSweep) -> str:
    """The loss at the suggested rate beside the user's own."""
    rate, score = suggestion(sweep)
    if sweep.score_steps and sweep.score_steps < sweep.steps:
        long = _tail(sweep, rate)
        score = long if long is not None else score
    if np.isfinite(sweep.user_score):
        return f"loss {score:.3g} instead of {sweep.user_score:.3g} after the same {sweep.steps} steps"
    return f"loss {score:.3g} after {sweep.steps} steps, where {sweep.user_rate:.3g} diverges"


def _tail(sweep: LearningRateSweep, rate: float, share: float = 0.3) -> float | None:
    """Mean of a rate's last losses, if its trial was as long as the user's."""
    at = int(np.argmin(np.abs(sweep.rates - rate)))
    curve = sweep.curves[at] if len(sweep.curves) == len(sweep.rates) else np.zeros(0)
    return float(curve[-max(round(share * len(curve)), 1) :].mean()) if len(curve) == sweep.steps else None


def figures(sweep: LearningRateSweep) -> tuple[Evidence, ...]:
    """The rates and losses that the verdict rests on."""
    rate, score = suggestion(sweep)
    return (
        Evidence("learning rate", sweep.user_rate, rate),
        Evidence("loss", sweep.user_score, score),
        Evidence("loss at the start", sweep.start),
    )


def change_rate(sweep: LearningRateSweep, optimizer: Optimizer) -> Fix:
    """The measured rate, or the factor where groups have rates of their own."""
    measured, _ = suggestion(sweep)
    rate, argument = one_digit(measured), "max_lr" if "max_lr" in optimizer.settings else "lr"
    code = f"{argument}={rate}"
    if len(set(optimizer.learning_rates)) > 1:
        factor = one_digit(measured / sweep.user_rate)
        code = f'for group in optimizer.param_groups:\n    group["lr"] *= {factor}'
    verb, gain = ("lower" if measured < sweep.user_rate else "raise"), outcome(sweep)
    alone = len(set(optimizer.learning_rates)) == 1
    return Fix(
        f"{verb} the learning rate to {rate}",
        f"{gain[0].upper()}{gain[1:]}.",
        code,
        rate_written(argument, rate, optimizer) if alone else (),
        verified=True,
    )


def rate_written(argument: str, rate: str, optimizer: Optimizer) -> tuple[Change, ...]:
    """Where the source has a rate, else in the optimizer's call."""
    if optimizer.rate_location is not None:
        return (SetArgument(argument, rate, at=optimizer.rate_location),)
    if optimizer.location is None or argument != "lr":
        return ()
    return (SetArgument(argument, rate, position=1, at=optimizer.location, of=(optimizer.name,)),)


def diverged(loss: NDArray[np.float64], sweep: LearningRateSweep, risen: float, noises: float) -> bool:
    """Whether the user's own losses went out of range, or rose to a multiple of the start and stayed there."""
    if not loss.size:
        return False
    if not np.isfinite(loss[-1]):
        return True
    if loss.size < 10 or not np.isfinite(sweep.start):
        return False
    third = loss.size // 3
    last, first = np.median(loss[-third:]), np.median(loss[:third])
    limit = sweep.start + (risen - 1) * abs(sweep.start) + noises * sweep.noise
    return bool(not last <= limit and not last <= first)


def first_jump(sweep: LearningRateSweep, first: int = 5, learned: float = 0.5) -> float:
    """How many times as large one of the first losses is at the user's rate as at the lowest one, on the same batch.

    1 where that is not known, or where the loss at the start is no size to compare with: below zero somewhere, or near
    its floor already, as when weights were loaded.
    """
    at = np.flatnonzero(np.isclose(sweep.rates, sweep.user_rate, rtol=1e-6))
    if (
        not sweep.paired
        or not at.size
        or len(sweep.curves) != len(sweep.rates)
        or sweep.progress < learned * sweep.start
    ):
        return 1.0
    own, calm = sweep.curves[at[0]][:first], sweep.curves[0][:first]
    n = min(len(own), len(calm))
    if not n or not (calm[:n] > 0).all() or not np.isfinite(own[:n]).all():
        return 1.0
    return float((own[:n] / calm[:n]).max())


def watched_progress(steps: Steps | None, first: int = 50) -> float:
    """How far the loss surely fell over the user's own first steps: between their quarters, less its standard error."""
    loss = steps.loss[:first] if steps is not None else np.zeros(0)
    quarter = len(loss) // 4
    if quarter < 3 or not np.isfinite(loss).all():
        return 0.0
    early, late = loss[:quarter], loss[-quarter:]
    error = float(np.sqrt((early.var() + late.var()) / quarter))
    return float(early.mean() - late.mean()) - error
