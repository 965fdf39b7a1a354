from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dnndoctor.changes import Change, Rewrite
from dnndoctor.findings import Evidence, Finding, Fix, NotExamined, Severity
from dnndoctor.measurements import LearningMethods, MethodRun, Optimizer, Optimizers
from dnndoctor.rule import rule

NO_FALLING_LOSS = {
    "gan": "in adversarial training the loss need not fall: two networks work against each other",
    "reinforcement": "in reinforcement learning the loss need not fall: it is no measure of the reward",
}
CODE = {
    "Adam": "torch.optim.AdamW(model.parameters(), lr={rate})",
    "RMSprop": "torch.optim.RMSprop(model.parameters(), lr={rate})",
    "Adagrad": "torch.optim.Adagrad(model.parameters(), lr={rate})",
    "Adadelta": "torch.optim.Adadelta(model.parameters(), lr={rate})",
    "SGD": "torch.optim.SGD(model.parameters(), lr={rate})",
    "SGD with momentum 0.9": "torch.optim.SGD(model.parameters(), lr={rate}, momentum=0.9)",
    "SGD with Nesterov momentum 0.9": "torch.optim.SGD(model.parameters(), lr={rate}, momentum=0.9, nesterov=True)",
}


OWN_SETTINGS = tuple("1 lr momentum dampening nesterov betas eps rho alpha centered amsgrad lr_decay lambd".split())
OWN_MEANING = ("adadelta", "adafactor", "rprop", "prodigy", "dadapt")  # whose rate is a factor and no step size


@rule("OPT101", Severity.WARNING, practice="learning-method", not_for=NO_FALLING_LOSS)
def optimizer_lags(
    methods: LearningMethods,
    optimizers: Optimizers,
    *,
    lag: float = 2.0,
    share: float = 0.5,
    noises: float = 4.0,
    standing: float = 0.1,
    alike: float = 0.05,
    fewest: int = 40,
) -> Iterator[Finding]:
    """Another optimizer gets to the same loss in a fraction of the steps.

    What it measures
        Several methods, each at the best rate of a short search of its own, from the same weights on the same batches
        in two orders. Yours takes part at your rate and at its best one, and the better of both is compared. It is a
        warning where yours makes less than half of the other's progress at either rate, else information. Of methods
        whose rate is no step size (Adadelta, Rprop) yours is judged as it is, where it hardly moves.

    Why it matters
        On badly scaled problems (attention, embeddings, deep stacks without norms) one rate for all parameters is too
        high for some and too low for others, and most steps are wasted.

    How to fix it
        Take the method and the rate that were measured, then judge by the validation score.

    When to ignore it
        The first steps decide nothing: SGD with a schedule often ends as well as the faster ones, or better.

    References
        Choi et al. 2019, On Empirical Comparisons of Optimizers for Deep Learning: compare each at its own best rate.
        Wilson et al. 2017, The Marginal Value of Adaptive Gradient Methods: why early speed alone is information.
        lag: 2.0, this project's choice: times fewer steps to the loss that yours ends at.
        share: 0.5, this project's choice: of the best method's progress.
        noises: 4.0, this project's choice: differences between the two orders that the gap must exceed.
        standing: 0.1, this project's choice: of the best method's progress; one that makes less hardly moves.
        alike: 0.05, this project's choice: of that progress; among methods as close as that the most usual is named.
        fewest: 40, this project's choice: steps; over fewer a slow beginning decides, and it is information.
    """
    others = [each for each in methods.others if np.isfinite(each.scores).all()]
    if len(methods.user.curves) < 2 or not others:
        raise NotExamined("there was no time to compare another method from two orders of the batches")
    start = float(np.mean([curve[0] for curve in others[0].curves]))
    lowest = min(float(np.mean(each.scores)) for each in others)
    best = next(each for each in others if np.mean(each.scores) <= lowest + alike * abs(start - lowest))
    gain, user = start - float(np.mean(best.scores)), start - float(np.mean(methods.user.scores))
    stands = methods.optimizer.lower().startswith(OWN_MEANING) and user < standing * gain
    own = methods.user if stands else methods.own_best
    progress = start - float(np.mean(own.scores))
    spread = max(abs(each.scores[0] - each.scores[1]) for each in (best, own)) if np.isfinite(progress) else 0.0
    if gain <= 0 or gain - progress <= noises * spread or _times_faster(own, best, methods.steps) < lag:
        return
    grave = methods.steps >= fewest and (stands or max(progress, user) < share * gain)
    rate = f"{float(f'{best.rate:.0e}'):g}"
    optimizer = next((each for each in optimizers.all if each.name == methods.optimizer), optimizers.main)
    yield Finding(
        f"{best.name} at {rate} reaches loss {np.mean(best.scores):.3g} in {methods.steps} steps, {own.name} at "
        f"{'your' if own is methods.user else 'its best'} rate {own.rate:.2g} reaches {np.mean(own.scores):.3g}",
        location=optimizer.location,
        subject=optimizer.name,
        evidence=(
            Evidence("loss", float(np.mean(own.scores)), float(np.mean(best.scores))),
            Evidence("loss at the start", start),
            Evidence("spread between two orders", spread),
        ),
        fix=Fix(
            f"try {best.name} at {rate}",
            f"It gets to loss {np.mean(own.scores):.3g} in less than {100 / lag:.0f} % of the steps.",
            CODE[best.name].format(rate=rate) if best.name in CODE else None,
            _exchanged(optimizer, best.name, rate),
            verified=True,
        ),
        severity=Severity.WARNING if grave else Severity.INFO,
    )


def _times_faster(own: MethodRun, other: MethodRun, steps: int) -> float:
    """How many times fewer steps the other needs to the loss that the user's ends at, in the worse of both orders."""
    factors = []
    for mine, theirs in zip(own.scores, other.curves, strict=True):
        reached = np.flatnonzero(_running(theirs, steps) <= mine)
        factors.append(steps / (reached[0] + 1) if len(reached) else 0.0)
    return min(factors)


def _running(curve: NDArray[np.float64], steps: int) -> NDArray[np.float64]:
    """Mean of the last tenth of the steps up to each one."""
    width = max(steps // 10, 1)
    padded = np.concatenate([np.full(width - 1, curve[0]), curve])
    return np.convolve(padded, np.full(width, 1 / width), mode="valid")


def _exchanged(optimizer: Optimizer, name: str, rate: str) -> tuple[Change, ...]:
    """The parameters stay; what was set for the old method goes, but nothing that has a meaning for both."""
    code = CODE.get(name, "").replace("model.parameters()", "{0}").replace("{rate}", rate)
    if not code or optimizer.location is None or len(optimizer.learning_rates) > 1:
        return ()
    return (Rewrite(code, dropping=OWN_SETTINGS, at=optimizer.location, of=(optimizer.name,)),)
