"""The schedule to its end: every scheduler's copy, stepped on a stand-in as often as the planned run would step it."""

from __future__ import annotations

import copy
import time
import warnings
from typing import Any

from dnndoctor.observe.plan import Plan
from dnndoctor.observe.schedulers import SchedulerFacts, Schedulers
from dnndoctor.observe.watch import Watch
from dnndoctor.probes.room import Room

MOST_CALLS = 200_000
POINTS = 200  # of a curve that are kept


def measure(watch: Watch, room: Room) -> None:
    """Record the curve of each scheduler over the planned run, and as it would be at the other pace."""
    schedulers = next(each for each in watch.windows.all if isinstance(each, Schedulers))
    plan = next(each for each in watch.windows.all if isinstance(each, Plan)).facts() or {}
    deadline = room.deadline
    facts = {"curves": [_curves(each, schedulers, plan, deadline) for each in schedulers.all]}
    watch.writer.put("probe", {"name": "schedule", "facts": facts})


def _curves(one: SchedulerFacts, schedulers: Schedulers, plan: dict[str, Any], deadline: float) -> dict[str, Any]:
    per, planned = schedulers.frequency(one)
    if one.state is None:
        return {"missing": "its rates depend on what training brings, or it is not one of torch's own"}
    if planned is None:
        return {"missing": "how often the run is meant to call it could not be read from the source"}
    rates, fails = run(one.state, one.start, planned, deadline)
    found: dict[str, Any] = {"rates": rates, "fails_after": fails}
    others = {"per_epoch": plan.get("epochs"), "per_step": plan.get("steps")}
    for pace, calls in others.items():
        if calls and pace != f"per_{per}":
            found[pace] = run(one.state, one.start, calls, deadline)[0]
    return found if rates else {"missing": "the planned run is too long for its schedule to be run through"}


def run(state: Any, start: Any, calls: int, deadline: float) -> tuple[list[float], int | None]:
    """The largest rate at ``POINTS`` evenly spaced points of so many calls, the start and the end with them.

    Empty where it takes too long. With it comes the number of calls that it bears before it raises, if it does.
    """
    if calls > MOST_CALLS:
        return [], None
    groups = copy.deepcopy(start)
    scheduler = copy.deepcopy(state, {id(start): groups})
    rates = [groups.rate()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for call in range(calls):
            if call % 256 == 0 and time.perf_counter() > deadline:
                return [], None
            try:
                scheduler.step()
            except Exception:  # noqa: BLE001 - a schedule that is over says so
                return _thinned(rates), call
            rates.append(groups.rate())
    return _thinned(rates), None


def _thinned(rates: list[float]) -> list[float]:
    if len(rates) <= POINTS:
        return rates
    return [rates[round(i * (len(rates) - 1) / (POINTS - 1))] for i in range(POINTS)]
