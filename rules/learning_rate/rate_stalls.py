from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dnndoctor.findings import Evidence, Finding, Fix, NotApplicable, NotExamined, Severity
from dnndoctor.measurements import Course, Curve
from dnndoctor.rule import rule


@rule("LRN112", Severity.WARNING, practice="learning-rate")
def rate_stalls(
    course: Course,
    *,
    vanished: float = 0.01,
    left: float = 0.2,
    floor: float = 0.12,
    ceiling: float = 0.95,
    moves: int = 8,
    slope: float = 0.3,
) -> Iterator[Finding]:
    """The schedule of the learning rate stops long before the run does.

    What it measures
        The logged rate over the whole run. Reported are a rate that falls to next to nothing with a good part of the
        run still to come, and one that moved from point to point and then stands still, in the middle between its peak
        and its floor, for that long. Step schedules, warm-ups to a constant rate, and cosines that arrive at a floor
        near the end are sound.

    Why it matters
        At a vanished rate the rest of the run is computed and changes nothing; at one that stands still the loss stays
        on the level that the noise of the batches sets at this rate.

    How to fix it
        Give the schedule the length of the run, in the unit in which it is stepped, and step it to the end.

    When to ignore it
        The rate is held there on purpose.

    References
        Loshchilov and Hutter 2017, SGDR, section 3; PyTorch documentation, torch.optim, "How to adjust learning rate".
        vanished: 0.01, the rule catalogue of this project (LRN104): share of the peak.
        left: 0.2, this project's choice: share of the run; a cosine to zero spends its last 7 % there.
        floor: 0.12, this project's choice: a tenth of the peak is the usual floor (Hoffmann et al. 2022, section 3.1).
        ceiling: 0.95, this project's choice: at its peak a rate is held on purpose.
        moves: 8, this project's choice: points in a row that differ, so that it is no schedule of steps.
        slope: 0.3, this project's choice: of the fall per point until then; a cosine arrives with no slope.
    """
    rate = course.curve("learning rate")
    if rate is None:
        raise NotExamined("the log tells no learning rate")
    value = rate.value
    if len(value) < 2 * moves or not np.isfinite(value).all() or value.max() <= 0:
        raise NotExamined(f"the log tells fewer than {2 * moves} usable rates")
    if np.ptp(value) <= 1e-9 * value.max():
        raise NotApplicable("the rate is constant")
    most, end = _peak(value), course.last_step
    peak, still = int(np.flatnonzero(value >= most)[0]), _still(value)
    # Three steps of a tenth each are a usual schedule.
    nothing = vanished if len(np.unique(value)) > moves else vanished**2
    gone = int(np.flatnonzero(value > nothing * most)[-1]) + 1
    if gone < len(value) and _left(rate, gone, end) >= left:
        stopped = still if _left(rate, still, end) >= left else gone
        yield _finding(course, rate, stopped, most, "falls to next to nothing")
        return
    share = float(value[still] / most)
    stops = peak < still < len(value) - 1 and _left(rate, still, end) >= left
    if stops and floor < share < ceiling and _was_moving(value, peak, still, moves, slope):
        yield _finding(course, rate, still, most, "stands still")


def _peak(value: NDArray[np.float64]) -> float:
    """The largest rate that was kept for a while: a spike is no peak of a schedule."""
    value = value[:: max(len(value) // 2000, 1)]
    width = max(len(value) // 40, 1)
    held = np.lib.stride_tricks.sliding_window_view(value, min(2 * width + 1, len(value)))
    return float(np.median(held, axis=1).max())


def _left(rate: Curve, at: int, end: float) -> float:
    return float((end - rate.step[at]) / max(end - rate.step[0], 1e-12))


def _still(value: NDArray[np.float64]) -> int:
    """The index from which on the rate does not change any more."""
    changed = np.flatnonzero(np.abs(np.diff(value)) > 1e-9 * value.max())
    return int(changed[-1]) + 1 if len(changed) else 0


def _was_moving(value: NDArray[np.float64], peak: int, still: int, moves: int, slope: float) -> bool:
    """Whether it fell from point to point until then, and was falling as fast as before when it stopped."""
    way = np.diff(value[max(peak, still - 4 * moves) : still + 1])
    if len(way) < moves or not (way[-moves:] < 0).all():
        return False
    mean = (value[peak] - value[still]) / (still - peak)
    return bool(-np.median(way[-moves:]) >= slope * mean)


def _finding(course: Course, rate: Curve, at: int, peak: float, what: str) -> Finding:
    share, value = _left(rate, at, course.last_step), float(rate.value[at])
    kept = course.resume(float(rate.step[at]) + 1)
    start = f"go on from {kept.path} ({course.at(kept.step)})" if kept is not None else "train again"
    loss = course.loss
    gained = ""
    if loss is not None and (here := loss.before(float(rate.step[at]))) > 10:
        then, now = float(np.median(loss.value[max(here - 20, 0) : here])), float(np.median(loss.value[-20:]))
        gained = f"; the loss was {then:.3g} there and is {now:.3g} at the end"
    return Finding(
        f"the learning rate {what} at {course.at(rate.step[at])}: {value:.2g} of a peak of {peak:.2g} for the last "
        f"{share:.0%} of the run{gained}",
        location=rate.place(at),
        subject=rate.name,
        evidence=(
            Evidence("rate against its peak", value / peak),
            Evidence("share of the run that is left", share, 0.0),
            Evidence(course.unit, float(rate.step[at])),
        ),
        fix=Fix(
            f"{start} with a schedule as long as the run",
            f"The last {share:.0%} of the run then learn. A schedule's length is counted in calls of its step(): per "
            "batch it takes epochs times batches, and the calls have to go on to the end.",
        ),
    )
