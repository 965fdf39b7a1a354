"""A bare run beside an examined one: the user's own steps must be the same, bit for bit."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

from dnndoctor.recording.reader import read
from tests.conftest import TIMEOUT
from tests.zygote import Zygote

STEPS = 50
BARE = str(Path(__file__).parent / "bare.py")
BORDERS = ("step", "closure")
UNCOUNTED = 3  # steps of a later optimizer before it takes the lead
SHARE = 0.25  # steps of the loop among all steps of all optimizers, or among all gradients
Events = list[tuple[str, str]]


def bare(source: str, zygote: Zygote, folder: Path) -> Events:
    """What backward ran on and which optimizer stepped, in order."""
    (folder / "train.py").write_text(source)
    done = zygote.script(BARE, str(folder / "events.json"), "train.py", cwd=folder, timeout=TIMEOUT)
    assert done.returncode == 0, done.stderr
    events: Events = json.loads((folder / "events.json").read_text())
    return events


def losses(events: Events, recorded: list[float]) -> Iterator[float]:
    """The bare run's losses by step: each the sum of all that backward ran on since the step before.

    Of a closure, which an optimizer may evaluate at several points, it is the first evaluation. Which optimizer's steps
    end a step of the loop is not decided here, but taken from the recording: sums are closed where they agree with it.
    One that never agrees is given as it is, so that it shows.
    """
    kinds = {kind for kind, _ in events}
    source = "backward" if "backward" in kinds else "gradient"
    borders = kinds & set(BORDERS) or {source}
    wanted, values = iter(recorded), list[float]()
    target = next(wanted, None)
    ends = [0]  # of steps among the values; the first ones of an optimizer that is to take the lead have no row
    for kind, value in events:
        if kind == source:
            values.append(float.fromhex(value))
        total = values[0] if kind == "closure" and values else sum(values)
        if kind not in borders or not values or target is None:
            continue
        last = sum(values[ends[-1] :])
        if same(total, target) or (len(ends) <= UNCOUNTED + 1 and len(values) > ends[-1] and same(last, target)):
            yield total if same(total, target) else last
            target = next(wanted, None)
            values.clear()
            ends = [0]
        elif len(values) > ends[-1]:
            ends.append(len(values))
    if values and target is not None:
        yield sum(values)


def same(one: float, other: float) -> bool:
    """Infinite and undefined losses are recorded as missing."""
    return one == other or not (math.isfinite(one) or math.isfinite(other))


def assert_same_losses(
    source: str, report: dict[str, object], folder: Path, zygote: Zygote, aside: Path | None = None
) -> None:
    """The recorded losses are those of a bare run, which is made in ``aside`` or else beside the recording."""
    run = report["run"]
    assert isinstance(run, dict)
    rows = read(folder / run["recording"])["step"]
    recorded = [math.nan if row["loss"] is None else row["loss"] for row in rows][:STEPS]
    events = bare(source, zygote, aside or folder)
    found = list(losses(events, recorded))
    assert recorded, "no step was recorded"
    assert len(found) == len(recorded)
    assert all(map(same, found, recorded)), next(
        (i, a, b) for i, (a, b) in enumerate(zip(found, recorded, strict=True)) if not same(a, b)
    )
    steps = sum(kind in BORDERS for kind, _ in events) or len(events)
    broken = any(not math.isfinite(each) for each in recorded)
    assert broken or len(recorded) >= min(STEPS, steps) * SHARE
