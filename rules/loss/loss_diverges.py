from collections.abc import Iterator

import numpy as np

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import Course, Curve, Turn
from dnndoctor.rule import rule
from dnndoctor.rules.learning_rate.sweep_reading import NO_FALLING_LOSS

PARTS = 10  # of the run after the rise


@rule("LOS115", Severity.ERROR, practice="loss", not_for=NO_FALLING_LOSS)
def loss_diverges(
    course: Course,
    *,
    worse: float = 1.03,
    fewest: int = 20,
    falls: float = 0.3,
    unlearned: float = 0.8,
    nothing: float = 0.5,
) -> Iterator[Finding]:
    """The training loss rises for good in the middle of the run.

    What it measures
        The logged training loss against the best level that it had reached, in units of its noise; the rise has to last
        to the end of the log. The point named is where it leaves its level, and with it what else moved around then.
        A loss that falls again after it has risen, and stays well below where the run began, goes on learning, from
        harder data or for another aim. One that begins at nothing and lies below zero is a surrogate, as of policy
        gradients, whose level says nothing.

    Why it matters
        From there on the run undoes what it had learned.

    How to fix it
        Go on from the last checkpoint before. If nothing but the gradient moved, lower the rate or clip the norm; a
        rate that was still rising then has passed the highest one that this model bears.

    When to ignore it
        The data or the objective changed there on purpose.

    References
        Chowdhery et al. 2022, PaLM, section 5.1: going on from a checkpoint before the spike, past its batches.
        worse: 1.03, this project's choice: the level at the end against the best one.
        fewest: 20, this project's choice: points of the log, so that a level is known.
        falls: 0.3, this project's choice: of what it had risen by, given back later.
        unlearned: 0.8, this project's choice: of the loss at the beginning; from there on all that was learned is lost.
        nothing: 0.5, this project's choice: the size of the first losses against the spread of those until the rise.
    """
    loss = course.loss
    if loss is None:
        raise NotExamined("the log tells no training loss")
    if np.isfinite(loss.value).sum() < fewest:
        raise NotExamined(f"fewer than {fewest} losses were logged")
    turn = next((each for each in course.turns if each.kind == "risen"), None)
    if turn is None or turn.end <= worse * turn.before:
        return
    start = float(np.median(loss.value[np.isfinite(loss.value)][:5]))
    spread = float(np.ptp(np.nanpercentile(loss.value[: turn.at], (10, 90)))) if turn.at else 0.0
    if turn.before < 0 and abs(start) < nothing * spread and turn.end <= start + spread:
        raise NotApplicable("the loss begins at nothing and lies below zero: a surrogate, whose level says nothing")
    if turn.end < unlearned * start and _falls_again(loss, turn, falls):
        return
    yield _finding(course, loss, turn)


def _falls_again(loss: Curve, turn: Turn, falls: float) -> bool:
    """Whether it gives back a good part of its rise at some time, as a loss does that is still learned from."""
    after = loss.value[turn.at :]
    parts = [float(np.median(each)) for each in np.array_split(after[np.isfinite(after)], PARTS) if len(each)]
    peaks = np.maximum.accumulate(parts)
    rise = np.maximum(peaks - turn.before, 1e-12)
    return len(parts) == PARTS and bool(((peaks - parts) / rise >= falls).any())


def _warms_up(rate: Curve, index: int) -> bool:
    """Whether it rises from point to point, without a jump."""
    near = rate.value[max(index - 10, 0) : index + 1]
    return bool((np.diff(near) > 0).all() and near[-1] < 2 * near[-2])


def _finding(course: Course, loss: Curve, turn: Turn) -> Finding:
    rate = course.curve("learning rate")
    rising, at_rate = "", None
    if rate is not None and (index := rate.before(turn.step + 1)) >= 1:
        at_rate = float(rate.value[index])
        rising = " while the learning rate is still rising" if _warms_up(rate, index) else ""
    first = next((each for each in course.moved if each.role != "learning rate" and each.step <= turn.step), None)
    led = f"; {first.name} moved first, at {course.at(first.step)}" if first is not None else ""
    kept = course.resume(turn.step)
    start = f"go on from {kept.path} ({course.at(kept.step)})" if kept is not None else "start again"
    lower = f" at a rate of {float(f'{at_rate / 3:.1g}'):g}" if at_rate else " at a third of the rate"
    evidence = [Evidence("loss at the end", turn.end, turn.before), Evidence(course.unit, turn.step)]
    evidence += [Evidence("learning rate there", at_rate)] if at_rate is not None else []
    return Finding(
        f"the training loss rises for good from {course.at(turn.step)} on{rising}: from {turn.before:.3g} to "
        f"{turn.end:.3g} at the end{led}",
        location=loss.place(turn.at),
        subject=loss.name,
        evidence=tuple(evidence),
        fix=Fix(
            f"{start}{lower}, and clip the gradient norm",
            "Smaller steps stay on the stretch where the loss was falling.",
            "torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)  # before optimizer.step()",
        ),
    )
