"""What a run's logs tell of its course, in a few lines that terminal and page share."""

from collections.abc import Iterator

import numpy as np

from dnndoctor.measurements import Course, Curve, Turn
from dnndoctor.reports.words import figure, plural

MOST_MOVED = 3
MOST_CURVES = 6


def told(course: Course) -> Iterator[tuple[str, str]]:
    """Label and text: what was logged, when it went wrong, what moved first, where to go on from."""
    names = [f"{each.name} ({plural(len(each.value), 'point')})" for each in course.curves[:MOST_CURVES]]
    more = len(course.curves) - len(names)
    yield "logged", ", ".join(names) + (f" and {more} more" if more > 0 else "")
    turn = course.worst
    loss = course.loss
    if loss is None:
        return
    if turn is None:
        yield "course", f"the training loss {_way(loss)}; it never leaves its way"
        return
    yield "went wrong", f"{course.at(turn.step)} of {figure(course.last_step)}{_moment(loss, turn)}: {_turned(turn)}"
    if course.moved:
        steps = [f"{each.name} at {course.at(each.step)}, {_change(each.before, each.after)}" for each in course.moved]
        yield "moved first", "; then ".join(steps[:MOST_MOVED])
    if (kept := course.resume(turn.step)) is not None:
        yield "go on from", f"{kept.path}, {course.at(kept.step)}"


def _way(loss: Curve) -> str:
    known = loss.value[np.isfinite(loss.value)]
    if not len(known):
        return "is not finite"
    few = max(len(known) // 50, 1)
    return f"goes from {figure(float(np.median(known[:few])))} to {figure(float(np.median(known[-few:])))}"


def _turned(turn: Turn) -> str:
    if turn.kind == "non-finite":
        return f"the loss is not finite any more, {figure(turn.before)} until then"
    if turn.kind == "jump":
        return f"the loss jumps from {figure(turn.before)} to {figure(turn.after)}, and comes back"
    return f"the loss rises from {figure(turn.before)}, to {figure(turn.end)} at the end"


def _moment(loss: Curve, turn: Turn) -> str:
    took = float(loss.time[turn.at] - loss.time[0])
    if not np.isfinite(took) or took <= 0:
        return ""
    hours, rest = divmod(int(took), 3600)
    return f" ({hours} h {rest // 60} min" + " after the start)" if hours else f" ({took / 60:.1f} min after the start)"


def _change(before: float, after: float) -> str:
    return f"{figure(before)} to {figure(after)}"
