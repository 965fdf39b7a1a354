"""The experiments, the most telling first, and the time that each may take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dnndoctor.probes.blanked import BlankedInputs
from dnndoctor.probes.experiment import Experiment
from dnndoctor.probes.learning_method import LearningMethods
from dnndoctor.probes.learning_rate import LearningRate
from dnndoctor.probes.noise import Noise
from dnndoctor.probes.overfit import OverfitOneBatch


@dataclass(frozen=True, slots=True)
class Entry:
    """One experiment.

    ``share``: of the time left that it may take, ``most`` seconds at most. ``fewest``: steps below which it is not
    begun. ``of_each_kind``: done for every kind of training in the script, else for the first alone.
    """

    name: str
    make: Callable[[], Experiment]
    share: float
    most: float
    fewest: int
    of_each_kind: bool = False


def _entry(make: type[Experiment], share: float, most: float, fewest: int, *, of_each_kind: bool = False) -> Entry:
    return Entry(make.name, make, share, most, fewest, of_each_kind)


EXPERIMENTS: tuple[Entry, ...] = (
    _entry(LearningRate, share=0.45, most=40.0, fewest=60, of_each_kind=True),
    _entry(OverfitOneBatch, share=0.25, most=20.0, fewest=60),
    _entry(BlankedInputs, share=0.15, most=10.0, fewest=16),
    _entry(Noise, share=0.15, most=10.0, fewest=40),
    _entry(LearningMethods, share=0.25, most=10.0, fewest=300),
)
