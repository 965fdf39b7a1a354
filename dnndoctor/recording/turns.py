"""Where a curve goes wrong: the change points of a noisy course of training.

A loss falls, noisily, and its noise grows and shrinks with it; so each point is judged against the best level that was
reached before it, in units of the noise there, and never against a model of how a loss should fall.
"""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dnndoctor.measurements.logged import Curve, Moved, Turn

FEWEST = 8  # points; with fewer a level has no noise to be judged by
SIGMAS = 6.0  # OLMo-core's bound for spikes of the loss
SHARE = 0.25  # of what the loss had fallen: less than that given back is no harm that anyone would look for
LOST = 0.03  # of the level itself, likewise: a language model's loss is mostly floor
JUMP = 0.5  # as SHARE, for a jump that comes back
LEFT = 8.0  # robust deviations that a quantity has to leave its own level by to have moved
MOST = 4096  # points that are looked at one by one; longer runs are looked at in bins first
AROUND = 0.1  # of the run before the loss went wrong, in which its causes are looked for

Floats = NDArray[np.float64]


def turns(curve: Curve) -> tuple[Turn, ...]:
    """What went wrong with a loss, first to last: jumps that came back, and one turn at most that lasted."""
    value = curve.value
    broken = _lasting_gap(value)
    sound = value[:broken]
    found = [_single(curve, at) for at in _gaps(value, broken)]
    known = np.flatnonzero(np.isfinite(sound))
    if len(known) > MOST:
        found += _in_bins(curve, known)
    elif len(known) >= FEWEST:
        found += _rises(curve, known)
    if broken < len(value):
        before = _level(value[known[-20:]]) if len(known) else np.nan
        step = float(curve.step[broken])
        found.append(Turn("non-finite", broken, len(value) - 1, step, before, np.nan, float(value[-1])))
    return tuple(sorted(found, key=lambda each: each.at))


def _in_bins(curve: Curve, known: NDArray[np.intp]) -> list[Turn]:
    """As for a shorter run, from the medians of evenly filled bins; then each turn's own point in its bin."""
    width = len(known) // (MOST // 2)
    rows = known[: len(known) // width * width].reshape(-1, width)
    middle, first = np.median(curve.value[rows], axis=1), rows[:, 0]
    binned = Curve(curve.name, curve.role, curve.step[first], middle, curve.time[first], curve.line[first])
    found = []
    for each in _rises(binned, np.arange(len(middle))):
        at = _split(curve.value[known], each.at * width, 2 * width)
        point = int(known[min(at, len(known) - 1)])
        end = int(known[-1]) if each.kind == "risen" else int(rows[each.last, -1])
        found.append(replace(each, at=point, last=end, step=float(curve.step[point])))
    return found


def _lasting_gap(value: Floats) -> int:
    """The first of the non-finite values after which hardly a finite one comes; the length where there are none."""
    finite = np.isfinite(value)
    if finite.all():
        return len(value)
    rest = np.cumsum(finite[::-1])[::-1]
    mostly = ~finite & (rest <= 0.1 * np.arange(len(value), 0, -1))
    return int(np.argmax(mostly)) if mostly.any() else len(value)


def _gaps(value: Floats, broken: int) -> list[int]:
    """Where a value that is not finite stands between finite ones; the first of each row of them."""
    bad = ~np.isfinite(value[:broken])
    return [int(at) for at in np.flatnonzero(bad & ~np.append(False, bad[:-1]))][:50]


def _single(curve: Curve, at: int) -> Turn:
    before = curve.value[max(at - 20, 0) : at]
    level = _level(before[np.isfinite(before)])
    return Turn("jump", at, at, float(curve.step[at]), level, float(curve.value[at]), level)


def _rises(curve: Curve, known: NDArray[np.intp]) -> list[Turn]:
    """Jumps, and a rise that lasts, of the finite part of a curve."""
    value = curve.value[known]
    window = _odd(min(max(len(value) // 50, 5), 201))
    smooth = _running_median(value, window)
    noise = _noise(value, smooth)
    start, best = _level(value[: max(len(value) // 50, 3)]), int(np.argmin(smooth))
    fallen = max(start - float(smooth[best]), 0.0)
    lowest = np.minimum.accumulate(smooth)
    sure = 1.25 * noise / np.sqrt(window)  # standard error of a running median
    bound = float(smooth[best]) + max(SIGMAS * sure, SHARE * fallen, LOST * abs(float(smooth[best])))
    last = _level(value[-max(len(value) // 20, min(window, 5)) :])
    found: list[Turn] = []
    lasts = best < len(value) - 2 and last > bound
    limit = len(value)
    if lasts:
        at = _left_for_good(value, smooth, bound, float(smooth[best]) + 3 * sure, best, window)
        # A jump from which the curve only half comes back is where it began.
        rows = _jumps(value[:at], noise, fallen, window)
        at = rows[-1][0] if rows and at - rows[-1][1] <= 3 * window else at
        limit = at
        found.append(_turn("risen", curve, known, at, len(value) - 1, float(smooth[best]), last))
    found += [
        _turn("jump", curve, known, at, end, float(lowest[max(at - 1, 0)]), last)
        for at, end in _jumps(value[:limit], noise, fallen, window)
    ]
    return found


def _left_for_good(value: Floats, smooth: Floats, bound: float, low: float, best: int, window: int) -> int:
    """The point at which the smoothed curve leaves its level to stay away."""
    below = np.flatnonzero(smooth[best:] <= bound)
    first = best + int(below[-1]) + 1
    # A slow rise crosses the bound late: it began where the curve last lay near the best.
    near = np.flatnonzero(smooth[best:first] <= low)
    begun = best + int(near[-1]) + 1
    at = _split(value, first, window)
    after = _level(value[at : at + window])
    step = after - _level(value[max(at - window, 0) : at])
    abrupt = step >= 0.5 * (after - float(smooth[best]))
    return min(at if abrupt else begun, len(smooth) - 1)


def _split(value: Floats, about: int, window: int) -> int:
    """The point near ``about`` that parts the values around it best into two levels: a median blurs a jump."""
    low, high = max(about - window, 0), min(about + window + 1, len(value))
    near = value[low:high]
    counts = np.arange(1, len(near))
    if len(counts) < 2:
        return about
    sums = np.cumsum(near)
    left, right = sums[:-1] / counts, (sums[-1] - sums[:-1]) / (len(near) - counts)
    between = np.where(right > left, counts * (len(near) - counts) * (right - left) ** 2, 0.0)
    return low + int(np.argmax(between)) + 1


def _jumps(value: Floats, noise: float, fallen: float, window: int) -> list[tuple[int, int]]:
    """Rows of points far above the level before them, first and last; two at least, or one that is far beyond all."""
    behind = max(3 * window, 15)
    if len(value) <= FEWEST:
        return []
    padded = np.concatenate([np.full(behind, np.nan), value[:-1]])
    windows = np.lib.stride_tricks.sliding_window_view(padded, behind)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # nothing stands before the first point
        level = np.nanmedian(windows, axis=1)
        spread = 1.4826 * np.nanmedian(np.abs(windows - level[:, None]), axis=1)
    level[:FEWEST] = np.inf
    far = value > level + np.maximum(2 * SIGMAS * np.fmax(spread, noise), np.maximum(JUMP * fallen, np.abs(level)))
    rows: list[tuple[int, int]] = []
    for at in np.flatnonzero(far):
        if rows and at - rows[-1][1] <= window:
            rows[-1] = (rows[-1][0], int(at))
        else:
            rows.append((int(at), int(at)))
    return rows[:50]


def _turn(kind: str, curve: Curve, known: NDArray[np.intp], at: int, end: int, before: float, last: float) -> Turn:
    first = int(known[at])
    after = _level(curve.value[known[at : end + 1]])
    return Turn(kind, first, int(known[end]), float(curve.step[first]), before, after, last)


def moved(curves: tuple[Curve, ...], turn: Turn, loss: Curve) -> tuple[Moved, ...]:
    """What left its own level shortly before the loss did, or with it; first to last."""
    span = loss.step[-1] - loss.step[0]
    begin = turn.step - max(AROUND * span, 20 * _interval(loss))
    found = []
    for each in curves:
        if each is loss or each.role == "validation loss" or len(each.value) < FEWEST:
            continue
        end = turn.step + 2 * max(_interval(each), _interval(loss))
        if (one := _departure(each, begin, end)) is not None:
            found.append(one)
    return tuple(sorted(found, key=lambda each: (each.step, each.role == "other", each.name)))


def _departure(curve: Curve, begin: float, end: float) -> Moved | None:
    value, last = curve.value, curve.before(end) + 1
    for at in range(max(curve.before(begin) + 1, last - MOST, 4), last):
        before = value[max(at - 30, 0) : at]
        before = before[np.isfinite(before)]
        if len(before) < 4:
            continue
        level = _level(before)
        if _left(value[at], level, before, curve.role):
            return Moved(curve.name, curve.role, float(curve.step[at]), level, float(value[at]), curve.place(at))
    return None


def _left(value: float, level: float, before: Floats, role: str) -> bool:
    if not np.isfinite(value):
        return True
    if role == "learning rate":  # it has no noise; a schedule moves little from one point to the next
        return bool(value > 2 * before[-1] and value > 1.2 * before.max())
    spread = max(1.4826 * _level(np.abs(before - level)), 0.02 * abs(level), 1e-12)
    return bool(abs(value - level) > LEFT * spread and abs(value - level) > 0.5 * abs(level))


def _interval(curve: Curve) -> float:
    return float(np.median(np.diff(curve.step))) if len(curve.step) > 1 else 1.0


def _level(values: Floats) -> float:
    return float(np.median(values)) if len(values) else float("nan")


def _noise(value: Floats, smooth: Floats) -> float:
    """Robust standard deviation around the smoothed curve, of the quieter half of the run."""
    off = np.abs(value - smooth)
    parts = [each for each in np.array_split(off, 8) if len(each)]
    return 1.4826 * float(np.median([np.median(each) for each in parts]))


def _odd(number: int) -> int:
    return number if number % 2 else number + 1


def _running_median(value: Floats, window: int) -> Floats:
    window = min(window, _odd(len(value)) - 2 if len(value) > 2 else 1)
    if window < 3:
        return value
    half = window // 2
    # The last point many times over would make a level of it; the last ones in turn are one.
    padded = np.pad(np.pad(value, (half, 0), mode="edge"), (0, half), mode="reflect")
    smooth: Floats = np.median(np.lib.stride_tricks.sliding_window_view(padded, window), axis=1)
    return smooth
