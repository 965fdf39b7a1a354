from collections.abc import Iterator

import numpy as np

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import Course, Curve, Turn
from dnndoctor.rule import rule


@rule("LRN111", Severity.WARNING, practice="learning-rate")
def rate_spike(
    course: Course, *, times: float = 2.0, above: float = 1.2, behind: int = 10, share: float = 0.02
) -> Iterator[Finding]:
    """The learning rate jumps up in the middle of the run, and the loss goes wrong right after.

    What it measures
        The logged rate: points at which it is so many times the one before, and above all since the start of the run or
        above the last ones by far. Reported is a jump after which the loss rises, jumps or ends in NaN within a few
        points. It is an error where the loss did not come back. Warm restarts that the loss bears are sound.

    Why it matters
        Steps that fit the stretch reached so far throw the weights out of it once they are many times as long.

    How to fix it
        Go on from the last checkpoint before the jump, at the rate from before it. Look for what sets the rate there: a
        scheduler that is built anew on resuming, a milestone with a gamma above 1, a unit that changed.

    When to ignore it
        The restart is meant, and the loss is expected to come back later.

    References
        Smith 2017, Cyclical Learning Rates, section 3.3: beyond an edge the loss diverges.
        times: 2.0, this project's choice: between two logged points; warm-ups rise less after their start.
        above: 1.2, this project's choice: against the largest rate of the points before it.
        behind: 10, this project's choice: points of the log that are compared, and within which the loss has to follow.
        share: 0.02, this project's choice: of the run, where that is longer.
    """
    rate, loss = course.curve("learning rate"), course.loss
    if rate is None or loss is None:
        raise NotExamined("the log tells no learning rate" if rate is None else "the log tells no training loss")
    if len(np.unique(rate.value)) < 2:
        raise NotApplicable("the rate is constant")
    jumps = [at for at in range(2, len(rate.value)) if _jumped(rate, at, times, above, behind)]
    reach = max(share * (loss.step[-1] - loss.step[0]), behind * _interval(loss), behind * _interval(rate))
    for at in jumps:
        turn = next((each for each in course.turns if _follows(each, rate, at, reach)), None)
        if turn is None:
            continue
        yield _finding(course, rate, at, turn)
        return


def _jumped(rate: Curve, at: int, times: float, above: float, behind: int) -> bool:
    last, new = rate.value[at - 1], rate.value[at]
    before = rate.value[max(at - behind, 0) : at]
    return bool(last > 0 and new >= times * last and new >= above * np.nanmax(before))


def _follows(turn: Turn, rate: Curve, at: int, reach: float) -> bool:
    return bool(rate.step[at - 1] - _interval(rate) <= turn.step <= rate.step[at] + reach)


def _interval(curve: Curve) -> float:
    return float(np.median(np.diff(curve.step)))


def _finding(course: Course, rate: Curve, at: int, turn: Turn) -> Finding:
    old, new, where = float(rate.value[at - 1]), float(rate.value[at]), course.at(rate.step[at])
    kept = course.resume(float(rate.step[at]))
    start = f"go on from {kept.path} ({course.at(kept.step)})" if kept is not None else "start again"
    came = "comes back" if turn.kind == "jump" else "does not come back"
    what = (
        "the loss is not finite from then on"
        if turn.kind == "non-finite"
        else f"the loss goes from {turn.before:.3g} to {turn.after:.3g} and {came}"
    )
    return Finding(
        f"the learning rate jumps from {old:.3g} to {new:.3g} at {where}; {what}",
        location=rate.place(at),
        subject=rate.name,
        evidence=(
            Evidence("rate after the jump", new, old),
            Evidence(f"{course.unit} of the jump", float(rate.step[at])),
            Evidence(f"{course.unit} at which the loss goes wrong", turn.step),
        ),
        fix=Fix(
            f"{start} at a rate of {old:.3g}",
            "The loss was sound until the jump. Find what sets the rate there: a scheduler built anew, a milestone "
            "with a gamma above 1, epochs taken for steps.",
        ),
        severity=Severity.WARNING if turn.kind == "jump" else Severity.ERROR,
    )
