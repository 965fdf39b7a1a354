from collections.abc import Iterator

import numpy as np

from dnndoctor.changes import Change, SetArgument
from dnndoctor.findings import Evidence, Finding, Fix, NotExamined, Severity
from dnndoctor.measurements import Gradients, LearningRateSweep, Losses, Optimizer, Optimizers, Plan, Steps, Weights
from dnndoctor.rule import rule
from dnndoctor.rules.learning_rate.sweep_reading import own_progress

FALLING = frozenset(
    "cross_entropy nll_loss binary_cross_entropy binary_cross_entropy_with_logits mse_loss l1_loss smooth_l1_loss "
    "huber_loss".split()
)


@rule("OPT105", Severity.WARNING, practice="learning-method")
def odd_hyper_parameters(
    optimizers: Optimizers,
    weights: Weights,
    gradients: Gradients | None,
    sweep: LearningRateSweep | None,
    steps: Steps | None,
    losses: Losses | None,
    plan: Plan | None,
    *,
    heavy: float = 0.995,
    large_eps: float = 1e-3,
    risen: float = 1.0,
    lost: float = 0.5,
) -> Iterator[Finding]:
    """A setting of the optimizer is far from what it is made for, and it shows.

    What it measures
        Momentum, betas and epsilon, with the symptom of each: a momentum near one under which the loss does not fall,
        or that averages over more steps than the run has; an epsilon above the size of most gradients, where another
        rate does better; betas in the wrong order; a loss that is maximized.

    Why it matters
        Momentum near one averages over hundreds of steps and multiplies the rate by as much. An epsilon above the
        gradients turns Adam into plain descent at a tiny rate.

    How to fix it
        Take the setting back to its default: momentum 0.9, betas (0.9, 0.999), eps 1e-8.

    When to ignore it
        A published recipe has this value together with the rate that belongs to it.

    References
        Kingma and Ba 2015, Adam, section 2 and algorithm 1: beta1 below beta2, eps 1e-8.
        Sutskever et al. 2013, On the Importance of Initialization and Momentum, section 3: up to 0.99, late on.
        heavy: 0.995, Sutskever et al. 2013, table 1: the largest momentum that is of use.
        large_eps: 0.001, Kingma and Ba 2015: five orders of magnitude over the default.
        risen: 1.0, this project's choice: the last third's median loss against the start's: it has not fallen.
        lost: 0.5, this project's choice: less than half of the progress that the best measured rate makes.
    """
    judged = False
    for index, each in enumerate(optimizers.all):
        settings = each.settings
        judged = judged or bool(settings)
        beta1, beta2 = settings.get("beta1", 0.0), settings.get("beta2", 1.0)
        momentum = settings.get("momentum", beta1)
        if settings.get("maximize") and _named(losses) and _rose(steps, risen):
            yield _odd(each, "maximize", 1.0, 0.0, f"{_named(losses)} is maximized, and rises", "maximize=False")
        elif beta1 > beta2 and beta1 >= 0.9:
            message = f"beta1 {beta1:g} is larger than beta2 {beta2:g}: they are swapped"
            yield _odd(each, "beta1", beta1, 0.9, message, f"betas=({beta2:g}, {beta1:g})")
        elif momentum >= heavy and (symptom := _of_momentum(momentum, each, steps, sweep, plan, risen, lost)):
            message = f"momentum {momentum:g} averages over {1 / max(1 - momentum, 1e-6):.0f} steps, and {symptom}"
            usual = "momentum=0.9" if "momentum" in settings else f"betas=(0.9, {beta2:g})"
            yield _odd(each, "momentum", momentum, 0.9, message, usual)
        elif settings.get("eps", 0.0) >= large_eps and _lags(sweep, each, lost):
            share = _below(gradients, weights, index, settings["eps"])
            if share >= 0.5 and sweep is not None and sweep.best_rate > sweep.user_rate:
                message = (
                    f"eps {settings['eps']:g} is larger than the gradients of {share:.0%} of the weights: the steps "
                    f"shrink, and a rate of {sweep.best_rate:.1g} does better"
                )
                yield _odd(each, "eps", settings["eps"], 1e-8, message, "eps=1e-8")
    if not judged:
        raise NotExamined("no setting of an optimizer was seen")


def _odd(each: Optimizer, name: str, value: float, usual: float, message: str, code: str) -> Finding:
    argument, _, given = code.partition("=")
    at = each.location
    changes: tuple[Change, ...] = (SetArgument(argument, given, at=at, of=(each.name,)),) if at is not None else ()
    fix = Fix("take the usual value", f"{each.name} then steps as it is made to.", code, changes)
    return Finding(message, each.location, each.name, (Evidence(name, value, usual),), fix)


def _of_momentum(
    momentum: float,
    each: Optimizer,
    steps: Steps | None,
    sweep: LearningRateSweep | None,
    plan: Plan | None,
    risen: float,
    lost: float,
) -> str:
    """What shows that a momentum is too heavy, or nothing."""
    if _rose(steps, risen) or _lags(sweep, each, lost):
        return "the loss lags"
    long = plan is not None and plan.steps is not None and plan.steps * (1 - momentum) < 1
    # What has become of the first gradients is never forgotten, at so many times the rate.
    return "the whole run is shorter" if long and each.peak_rate > 1 - momentum else ""


def _named(losses: Losses | None) -> str:
    """The loss, if it is one that is to fall."""
    found = losses.main.function if losses is not None else ""
    return found if found in FALLING else ""


def _rose(steps: Steps | None, risen: float) -> bool:
    """Whether the loss is no lower in the last third of the watch than at its start."""
    loss = steps.loss[np.isfinite(steps.loss)] if steps is not None else np.zeros(0)
    third = len(loss) // 3
    return third >= 3 and bool(np.median(loss[-third:]) >= risen * np.median(loss[:3]))


def _lags(sweep: LearningRateSweep | None, each: Optimizer, lost: float) -> bool:
    """Whether trials at another rate made much more progress."""
    if sweep is None or sweep.optimizer != each.name or sweep.progress <= 3 * sweep.noise:
        return False
    return bool(own_progress(sweep) < lost * sweep.progress)


def _below(gradients: Gradients | None, weights: Weights, optimizer: int, eps: float) -> float:
    """The share of an optimizer's entries whose gradient is smaller than ``eps``, by its root mean square."""
    if gradients is None:
        return 0.0
    small = total = 0
    for each in weights.parameters:
        own = gradients.of(each.name)
        if each.optimizer == optimizer and own is not None and len(own.rms):
            total += each.size
            small += each.size * bool(np.nanmedian(own.rms) < eps)
    return small / total if total else 0.0
