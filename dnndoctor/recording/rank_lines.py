"""What ranks wrote down at the same steps, side by side. Knows no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

Line = dict[str, Any]


def compare(lines: Mapping[int, Sequence[Line]], names: Sequence[str]) -> dict[str, Any]:
    """The lines of all ranks, as far as all of them have come; the fields are those of ``measurements.Ranks``."""
    by_step = [{line["step"]: line for line in each} for each in lines.values()]
    shared = sorted(set.intersection(*(set(each) for each in by_step))) if by_step else []
    hashed = [step for step in shared if all(each[step].get("hashes") for each in by_step)]
    differing: dict[int, int] = {}
    for step in hashed:
        for position, found in enumerate(zip(*(each[step]["hashes"] for each in by_step), strict=False)):
            if len(set(found)) > 1:
                differing.setdefault(position, step)
    fed = _fed(by_step, shared)
    timed = [step for step in shared if step > 0 and all(each[step].get("own") is not None for each in by_step)]
    whole = [each[step]["whole"] for step in timed for each in by_step if each[step].get("whole") is not None]
    return {
        "steps": sum(step >= 0 for step in shared),
        "started_equal": -1 in hashed and -1 not in differing.values(),
        "parameters": len(names),
        "compared_steps": len(hashed),
        "differing": [names[each] if each < len(names) else "" for each in differing],
        "first_difference": min(differing.values(), default=None),
        "batches": len(fed),
        "same_batches": sum(len(each) == 1 for each in fed),
        "slowest_share": [_share(position, by_step, timed) for position in range(len(by_step))] if timed else [],
        "own_seconds": [median(each[step]["own"] for step in timed) for each in by_step] if timed else [],
        "step_seconds": median(whole) if whole else 0.0,
    }


def exchanges(lines: Sequence[Line]) -> int:
    """In how many of a rank's steps it exchanged anything; 0 where that was in the fewest, as at the end of epochs."""
    told = [line["exchanged"] for line in lines if "exchanged" in line]
    return sum(told) if 2 * sum(told) > len(told) else 0


def _share(position: int, by_step: Sequence[Mapping[int, Line]], timed: Sequence[int]) -> float:
    """Of the steps, in which this rank took longest."""
    own = by_step[position]
    last = [step for step in timed if own[step]["own"] >= max(each[step]["own"] for each in by_step)]
    return len(last) / len(timed)


def _fed(by_step: Sequence[Mapping[int, Line]], shared: Sequence[int]) -> list[set[str]]:
    """The different batches of each step; what is the same in every step is no batch, but a constant of the model's."""
    known = [step for step in shared if step >= 0 and all(each[step].get("batch") for each in by_step)]
    if len(known) > 1 and any(len({each[step]["batch"] for step in known}) == 1 for each in by_step):
        return []
    return [{each[step]["batch"] for each in by_step} for step in known]
