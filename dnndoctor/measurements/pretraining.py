"""What training starts from: published architectures, loaded weights, frozen batch norms."""

from __future__ import annotations

from dataclasses import dataclass

from dnndoctor.findings import Location


@dataclass(frozen=True, slots=True)
class Architecture:
    """A model of a library that publishes trained weights for its classes.

    ``loaded``: some of its weights came from a checkpoint; ``trained``: an optimizer holds some of them.
    ``low``, ``high``, ``mean``, ``std``: of the first batch of color images at its call, None where it was given none.
    ``expected_mean``, ``expected_std``: per channel, of the images that its published weights were trained on; empty
    where the class does not tell.
    """

    name: str
    package: str
    location: Location | None
    parameters: int
    loaded: bool
    trained: bool
    low: float | None = None
    high: float | None = None
    mean: float | None = None
    std: float | None = None
    expected_mean: tuple[float, ...] = ()
    expected_std: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class LearnedStatistics:
    """What enters the first batch norm of a loaded model at its first call, against the norm's own statistics.

    ``ratio``: variance over the learned variance, ``shift``: distance of the means in learned standard deviations;
    both medians over ``channels``, each channel over ``values`` entries.
    """

    name: str
    ratio: float
    shift: float
    channels: int
    values: int


@dataclass(frozen=True, slots=True)
class FrozenNorms:
    """Batch norms of one model that no optimizer changes, nor anything before them, and whose running statistics
    changed in the watched steps all the same (``moving``). ``location``: the last call of ``train()`` on it."""

    model: str
    moving: tuple[str, ...]
    location: Location | None


@dataclass(frozen=True, slots=True)
class Movement:
    """How far loaded weights were moved: at each of ``steps`` the norm of the change over the norm of what was loaded,
    over all ``parameters`` of two dimensions or more together. ``location``: the optimizer."""

    steps: tuple[int, ...]
    shares: tuple[float, ...]
    parameters: int
    location: Location | None


@dataclass(frozen=True, slots=True)
class Origins:
    """Where the weights come from. ``movement`` is None where no loaded weight is trained."""

    architectures: tuple[Architecture, ...] = ()
    first_norms: tuple[LearnedStatistics, ...] = ()
    frozen_norms: tuple[FrozenNorms, ...] = ()
    movement: Movement | None = None
