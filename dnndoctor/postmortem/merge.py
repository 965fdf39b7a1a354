"""One course of a run from what several files tell of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dnndoctor.postmortem.align import Aligned, aligned
from dnndoctor.postmortem.log import Log, Reader, Series
from dnndoctor.postmortem.names import Role, parts, preferred, role

MOST_OTHERS = 200
MAIN = (Role.LOSS, Role.VALIDATION_LOSS, Role.RATE, Role.GRAD_NORM)


@dataclass(slots=True)
class Merged:
    """The series of a run, each with its role and the file that it comes from; the main one of a role comes first."""

    unit: str
    series: list[tuple[Role, Series, Path]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)


def merge(found: Iterable[tuple[Reader, Log]]) -> Merged:
    """The newest run of each kind of log, on the axis of the log that tells most of the loss."""
    logs, notes = _newest(list(found))
    if not logs:
        return Merged("step", notes=notes)
    placed = [(reader, aligned(log)) for reader, log in logs]
    placed.sort(key=lambda each: _weight(each[1]), reverse=True)
    unit = placed[0][1].unit
    merged = Merged(unit, notes=notes)
    for reader, each in placed:
        merged.notes += each.log.notes
        merged.facts |= {key: value for key, value in each.log.facts.items() if key not in merged.facts}
        if "exception" in each.log.facts:
            merged.facts["exception_file"] = str(each.log.file)
        if each.unit != unit:
            merged.notes.append(f"{each.log.file}: counts {each.unit}s and not {unit}s; its figures were left out")
            continue
        merged.sources.append(f"{each.log.file} ({reader.name})")
        _take(merged, each)
    return merged


def _weight(one: Aligned) -> tuple[bool, bool, bool, int]:
    points = max((len(each.value) for each in one.series if role(each.name) is Role.LOSS), default=0)
    lines = any(each.line.max(initial=0) > 0 for each in one.series)
    return points > 0, one.unit == "step", lines and points > 50, points


def _take(merged: Merged, one: Aligned) -> None:
    """A role that an earlier file tells of is not told again by a later one."""
    known = {kind for kind, _, _ in merged.series}
    names = {each.name: each for each in one.series}
    by_role: dict[Role, list[str]] = {}
    for each in one.series:
        by_role.setdefault(role(each.name), []).append(each.name)
    for kind in MAIN:
        if kind in known:
            continue
        for name in _ordered(by_role.get(kind, []), names, kind):
            merged.series.append((kind, names[name], one.log.file))
    told = {tuple(parts(series.name)) for _, series, _ in merged.series}
    room = MOST_OTHERS - len(merged.series)
    others = [name for name in by_role.get(Role.OTHER, []) if tuple(parts(name)) not in told]
    merged.series += [(Role.OTHER, names[name], one.log.file) for name in others[: max(room, 0)]]


def _ordered(found: list[str], names: dict[str, Series], kind: Role) -> list[str]:
    """The main one first: of those that speak of the whole the one with most points."""
    if kind is Role.RATE:  # groups: the largest is the one that moves the model
        return sorted(found, key=lambda name: -float(np.nanmax(names[name].value, initial=0.0)))
    return preferred(found, kind)


def _newest(found: list[tuple[Reader, Log]]) -> tuple[list[tuple[Reader, Log]], list[str]]:
    """Of several runs that one kind of log tells of, the newest; files of one folder belong to one run."""
    kept: list[tuple[Reader, Log]] = []
    notes: list[str] = []
    for name in dict.fromkeys(reader.name for reader, _ in found):
        mine = [(reader, log) for reader, log in found if reader.name == name]
        folders = {log.folder for _, log in mine}
        alone = name in ("CSV", "JSON lines", "text", "MLflow run")
        if len(mine) > 1 and (len(folders) > 1 or alone):
            newest = max(mine, key=lambda each: (_time(each[1].file), str(each[1].file)))
            if name != "Trainer state":
                notes.append(f"{len(mine)} logs of the kind {name} were found; the newest, {newest[1].file}, was read")
            mine = [newest] if alone else [each for each in mine if each[1].folder == newest[1].folder]
        kept.append(_joined(mine) if len(mine) > 1 else mine[0])
    return kept, notes


def _time(path: Path) -> float:
    try:
        if path.is_dir():
            return max((each.stat().st_mtime for each in path.rglob("*")), default=path.stat().st_mtime)
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _joined(logs: list[tuple[Reader, Log]]) -> tuple[Reader, Log]:
    """Files of one run that was stopped and went on, in the order of their names."""
    reader, first = logs[0]
    by_name: dict[str, list[Series]] = {}
    for _, log in logs:
        for each in log.series:
            by_name.setdefault(each.name, []).append(each)
    joined = tuple(_concatenated(each) for each in by_name.values())
    facts = {key: value for _, log in logs for key, value in log.facts.items()}
    return reader, Log(first.file, joined, facts, tuple(note for _, log in logs for note in log.notes))


def _concatenated(parts: list[Series]) -> Series:
    columns = ("value", "step", "epoch", "time", "line")
    return Series(parts[0].name, *(np.concatenate([getattr(each, name) for each in parts]) for name in columns))
