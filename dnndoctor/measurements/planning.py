"""What the run is meant to be: its length, its schedule of the rate, and what the source does around training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dnndoctor.findings import Location


@dataclass(frozen=True, slots=True)
class Plan:
    """How long the run is meant to be, from the loops that the optimizer steps in; None where it is not known.

    ``epochs``: passes over the data; ``steps``: of the optimizer, in all. ``ends_early``: a loop may be left before.
    ``searched``: the variables of loops around the whole training, each over two or more values. ``framework``: the
    library whose loop it is. ``seconds``: what all steps take at the speed of the watched ones.
    """

    epochs: int | None
    steps_per_epoch: int | None
    steps: int | None
    ends_early: bool = False
    framework: str | None = None
    location: Location | None = None
    seconds: float | None = None
    searched: tuple[str, ...] = ()
    searched_at: Location | None = None


@dataclass(frozen=True, slots=True)
class Schedule:
    """One scheduler. ``optimizer`` is the index of its optimizer, None if that one made no step.

    ``calls``: of its ``step`` that were seen; ``per``: "step" or "epoch", by the loops that it is called in, None where
    no call was seen. ``before_any_step``: calls before its optimizer's first step, in the loop that steps it.
    ``replaced``: nothing but it holds its optimizer any more, and one built later steps on the same parameters.
    ``others``: calls since the last of which only another optimizer over the same parameters stepped. ``planned``:
    calls that the run is meant to make. ``given``: it is given a metric or an epoch. ``never_called``: no file of the
    user's calls it. ``rates``: largest rate of the groups at evenly spaced points of the planned run, the start and the
    end with them, [points]; empty where it could not be run, and ``missing`` says why. ``rates_per_epoch``,
    ``rates_per_step``: as it would be with a call per epoch or per step, empty where that is not known.
    ``fails_after``: so many calls it bears before it raises.
    """

    name: str
    location: Location | None
    optimizer: int | None
    settings: Mapping[str, float] = field(default_factory=dict)
    milestones: tuple[int, ...] = ()
    calls: int = 0
    watched_calls: int = 0
    per: str | None = None
    before_any_step: int = 0
    others: int = 0
    replaced: bool = False
    planned: int | None = None
    given: bool = False
    never_called: bool = False
    call_location: Location | None = None
    variable: str | None = None
    rates: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    rates_per_epoch: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    rates_per_step: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    fails_after: int | None = None
    missing: str = ""


@dataclass(frozen=True, slots=True)
class Schedules:
    """Every scheduler that was built; empty where there is none."""

    all: tuple[Schedule, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """One group of an optimizer's parameters: their names, their number of entries, the rate and the decay."""

    names: tuple[str, ...]
    entries: int
    learning_rate: float
    weight_decay: float


@dataclass(frozen=True, slots=True)
class OptimizerGroups:
    """The groups of one optimizer.

    ``rates``: each group's rate at every watched step, [steps, groups]. ``decoupled``: its decay is no part of the
    gradient. ``decay_ratios``: at sampled steps, how many times larger the decay's part of the update is than the
    data's, median over the weights. ``decayed_norms``: norm of a sample of the decayed weights then. ``library``: one
    of torch's own classes. ``decay_location``: the ``weight_decay`` argument. ``odd_attributes``, ``odd_keys``: rates
    written where no step reads them.
    """

    groups: tuple[Group, ...]
    rates: NDArray[np.float64]
    decoupled: bool = False
    decay_ratios: tuple[float, ...] = ()
    decayed_norms: tuple[float, ...] = ()
    library: bool = True
    odd_attributes: tuple[str, ...] = ()
    odd_keys: tuple[str, ...] = ()
    decay_location: Location | None = None

    @property
    def constant(self) -> bool:
        """Whether every group kept its rate through the watched steps."""
        return bool(len(self.rates) < 2 or (np.ptp(self.rates, axis=0) <= 1e-9 * np.abs(self.rates).max(axis=0)).all())


@dataclass(frozen=True, slots=True)
class Groups:
    """The groups of every optimizer, in the order of the optimizers."""

    optimizers: tuple[OptimizerGroups, ...]


@dataclass(frozen=True, slots=True)
class Penalty:
    """A sum of absolute values of parameters that is part of the loss: over which, and where it is taken."""

    parameters: tuple[str, ...]
    location: Location | None


@dataclass(frozen=True, slots=True)
class Saved:
    """A ``torch.save`` in the source: what is saved, whether in a loop of its function, whether under a condition."""

    what: str
    in_loop: bool
    conditional: bool
    location: Location | None


@dataclass(frozen=True, slots=True)
class Habits:
    """What the user's files do, each with the first place, None where no line of theirs does.

    ``evaluates``: anything named for validation, a test or a metric; ``saves``: anything named for saving; ``logs``:
    anything that prints, logs, plots or keeps; ``keeps_best``: anything named for the best or for stopping early;
    ``writes_rate``: groups or a scheduler are named; ``searches``: a grid over settings.

    ``idle_rates``: variables that are changed like a rate and read by nothing; ``rate_attributes``: rates written to
    an attribute of an optimizer that has none; ``wrong_keys``: to a key of its groups that no step reads.
    """

    lines: int
    evaluates: Location | None = None
    saves: Location | None = None
    logs: Location | None = None
    keeps_best: Location | None = None
    writes_rate: Location | None = None
    searches: Location | None = None
    saved: tuple[Saved, ...] = ()
    idle_rates: tuple[tuple[str, Location], ...] = ()
    rate_attributes: tuple[tuple[str, Location], ...] = ()
    wrong_keys: tuple[tuple[str, Location], ...] = ()


@dataclass(frozen=True, slots=True)
class Waits:
    """Values that the loop takes over from an accelerator: in how many steps, and the waiting's share of their time.

    ``places``: the lines that do, the most frequent first.
    """

    steps: int
    watched: int
    share: float
    places: tuple[Location, ...] = ()


@dataclass(frozen=True, slots=True)
class History:
    """The course of the loss over the recorded run. Arrays are [steps] and [points].

    ``loss``, ``grad_norm``: of every recorded step. ``validation_step``: optimizer steps made before each evaluation;
    ``validation_loss``: its mean loss. ``complete``: the run came to the end that it was meant to have.
    """

    loss: NDArray[np.float64]
    grad_norm: NDArray[np.float64]
    learning_rate: NDArray[np.float64]
    validation_step: NDArray[np.int64]
    validation_loss: NDArray[np.float64]
    validation_location: Location | None = None
    complete: bool = False
    epochs: int | None = None
