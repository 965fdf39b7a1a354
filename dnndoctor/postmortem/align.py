"""One axis for what different files count differently: global steps, steps of an epoch, epochs, or nothing at all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dnndoctor.postmortem.log import Log, Series
from dnndoctor.postmortem.names import Role, preferred, role

MOST_STEPS = 1e15


@dataclass(frozen=True, slots=True)
class Aligned:
    """A log whose series all have their place on one axis in ``step``; ``unit``: what that counts."""

    log: Log
    unit: str
    series: tuple[Series, ...]


def aligned(log: Log) -> Aligned:
    """Every series of a log on the axis that its loss is told on, the last of several runs only."""
    series = tuple(_last_run(each) for each in log.series)
    main = _main(series)
    unit = _unit(main)
    if unit == "epoch" and _resets(main):
        series = tuple(_in_epochs(each, main) for each in series)
        main = _main(series)
    placed = (_placed(each, unit, series) for each in series)
    return Aligned(log, unit, tuple(made for each in placed if len((made := _sorted(each)).value)))


def _main(series: Iterable[Series]) -> Series:
    """The loss that the log tells most of."""
    kinds = {role(each.name): each for each in series}
    losses = [each for each in series if role(each.name) is Role.LOSS]
    first = preferred([each.name for each in losses], Role.LOSS)
    named = {each.name: each for each in losses}
    if first:
        return named[first[0]]
    return kinds.get(Role.VALIDATION_LOSS) or max(series, key=lambda each: len(each.value))


def _unit(main: Series) -> str:
    steps, epochs = np.isfinite(main.step), np.isfinite(main.epoch)
    if steps.mean() > 0.9 and len(np.unique(main.step)) > 1:
        return "epoch" if _resets(main) and epochs.mean() > 0.9 else "step"
    if epochs.mean() > 0.9 and len(np.unique(main.epoch)) > 1:
        return "epoch"
    return "point"


def _resets(main: Series) -> bool:
    """Whether the steps begin anew with every epoch."""
    known = np.isfinite(main.step) & np.isfinite(main.epoch)
    step, epoch = main.step[known], main.epoch[known]
    if len(step) < 2 or len(np.unique(epoch)) < 2:
        return False
    back = np.diff(step) < 0
    new = np.diff(np.floor(epoch)) > 0
    return bool(new.sum() and (back & new).sum() >= 0.8 * new.sum())


def _in_epochs(one: Series, main: Series) -> Series:
    """Steps that begin anew become parts of their epoch."""
    whole = float(np.nanmax(main.step)) + 1
    part = np.where(np.isfinite(one.step), one.step / whole, 0.0)
    plain = one.epoch == np.floor(one.epoch)
    return replace(
        one, epoch=one.epoch + np.where(plain, np.clip(part, 0, 1), 0.0), step=np.full_like(one.step, np.nan)
    )


def _last_run(one: Series) -> Series:
    """A log that was appended to holds several runs: what came before the last beginning is left out."""
    axis = one.step if np.isfinite(one.step).mean() > 0.9 else np.floor(one.epoch)
    if not np.isfinite(axis).all() or len(axis) < 4 or len(np.unique(np.floor(one.epoch[np.isfinite(one.epoch)]))) > 1:
        return one
    starts = np.flatnonzero((np.diff(axis) < 0) & (axis[1:] <= axis[0])) + 1
    return _cut(one, slice(int(starts[-1]), None)) if 0 < len(starts) <= 5 else one


def _placed(one: Series, unit: str, series: tuple[Series, ...]) -> Series:
    own = one.step if unit == "step" else one.epoch
    if unit == "point":
        return replace(one, step=_by_line(one, _lines(series)))
    if np.isfinite(own).mean() > 0.9:
        return replace(one, step=own)
    for known, wanted in ((one.epoch, "epoch"), (one.line.astype(np.float64), "line")):
        table = _table(series, unit, wanted)
        if table is not None and np.isfinite(known).all() and known.max() > 0:
            if wanted == "epoch":
                return replace(one, step=np.interp(known, *table))
            before = np.searchsorted(table[0], known, "right") - 1
            return replace(one, step=np.where(before >= 0, table[1][np.maximum(before, 0)], np.nan))
    return replace(one, step=np.full_like(one.step, np.nan))


def _table(series: Iterable[Series], unit: str, wanted: str) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """What is known of how epochs or lines and steps go together."""
    pairs: list[NDArray[np.float64]] = []
    for each in series:
        have = each.epoch if wanted == "epoch" else each.line.astype(np.float64)
        give = each.step if unit == "step" else each.epoch
        known = np.isfinite(have) & np.isfinite(give)
        pairs.append(np.stack([have[known], give[known]]))
    table = np.concatenate(pairs, axis=1) if pairs else np.zeros((2, 0))
    if table.shape[1] < 2 or (wanted == "line" and table[0].max() <= 0):
        return None
    table = table[:, np.lexsort(table[::-1])]
    return table[0], table[1]


def _lines(series: Iterable[Series]) -> NDArray[np.int64]:
    return np.unique(_main(tuple(series)).line)


def _by_line(one: Series, lines: NDArray[np.int64]) -> NDArray[np.float64]:
    if len(lines) < 2:
        return np.arange(1, len(one.value) + 1, dtype=np.float64)
    return np.searchsorted(lines, one.line, "right").astype(np.float64)


def _sorted(one: Series) -> Series:
    """In the order of the axis, the last of several points at one place, nothing without a place."""
    usable = np.isfinite(one.step) & (np.abs(one.step) < MOST_STEPS)
    one = _cut(one, usable)
    order = np.argsort(one.step, kind="stable")
    one = _cut(one, order)
    last = np.append(one.step[1:] != one.step[:-1], True) if len(one.step) else np.zeros(0, bool)
    return _cut(one, last)


def _cut(one: Series, which: slice | NDArray[np.bool_] | NDArray[np.intp]) -> Series:
    return Series(one.name, one.value[which], one.step[which], one.epoch[which], one.time[which], one.line[which])
