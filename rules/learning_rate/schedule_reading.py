"""What a schedule comes to over the planned run."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dnndoctor.findings import NotApplicable
from dnndoctor.measurements import Schedule, Schedules


def each_schedule(schedules: Schedules) -> Iterator[Schedule]:
    """Every scheduler, those built again and again on one line once. Raises NotApplicable where there is none."""
    if not schedules.all:
        raise NotApplicable("no scheduler is used")
    seen = set()
    for each in schedules.all:
        if each.location is None or each.location not in seen:
            seen.add(each.location)
            yield each


def alive_until(rates: NDArray[np.float64], floor: float) -> float:
    """The share of the run, 0 to 1, after which the rate stays below ``floor`` of its peak; 1.0 if it never does."""
    if len(rates) < 2 or not rates.max() > 0:
        return 1.0
    alive = np.flatnonzero(rates >= floor * rates.max())
    return float(alive[-1] + 1) / len(rates)


def moved(rates: NDArray[np.float64]) -> float:
    """How far the rate moves between its lowest and its highest, relative to the highest."""
    return float(1 - rates.min() / rates.max()) if len(rates) and rates.max() > 0 else 0.0


def called(each: Schedule) -> str:
    """What the script calls it."""
    return each.variable or "scheduler"
