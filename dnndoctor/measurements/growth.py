"""What is learned beyond the samples trained on: copies of the model, trained with a part of the samples held out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dnndoctor.findings import Location


@dataclass(frozen=True, slots=True)
class Overfitting:
    """Trainings on three quarters of the samples that were seen, scored on the rest, at the user's own rate.

    ``marks`` [m]: steps. ``training_loss``, ``held_out_loss`` [splits, m]: mean loss per sample, in evaluation mode.
    ``training_error``, ``held_out_error`` [splits, m]: share of wrong classes, None where there are no classes.
    ``start``: held-out loss before any step. ``samples``: different ones that were seen; ``length``: of the data set,
    None where it is not known; ``closed``: the same samples came again, so that no more are to be expected.
    ``epochs``: that were trained here; ``planned_epochs``: that the run is meant to have, None where not known.
    ``augmented``: a sample comes in different forms, None where nobody can tell. ``restraints``: what is there against
    over-fitting ("dropout", "weight decay", "normalization", ...). ``parameters``: trainable ones.
    ``grows``: the held-out loss rises again or stays so far behind that remedies were looked for.
    """

    marks: NDArray[np.int64]
    training_loss: NDArray[np.float64]
    held_out_loss: NDArray[np.float64]
    start: float
    samples: int
    parameters: int
    epochs: float
    training_error: NDArray[np.float64] | None = None
    held_out_error: NDArray[np.float64] | None = None
    length: int | None = None
    closed: bool = False
    planned_epochs: float | None = None
    augmented: bool | None = None
    restraints: tuple[str, ...] = ()
    grows: bool = False
    model: str = ""
    location: Location | None = None

    @property
    def best(self) -> int:
        """The mark with the lowest mean held-out loss."""
        return int(self.held_out_loss.mean(0).argmin())

    @property
    def gained(self) -> float:
        """How far the held-out loss fell at best; 0 if it did not."""
        return max(self.start - float(self.held_out_loss.mean(0).min()), 0.0)

    @property
    def rise(self) -> NDArray[np.float64]:
        """By how much the held-out loss rose from its best mark to the end, [splits]."""
        rise: NDArray[np.float64] = self.held_out_loss[:, -1] - self.held_out_loss[:, self.best]
        return rise

    @property
    def gap(self) -> NDArray[np.float64]:
        """Held-out loss less training loss at the end, [splits]."""
        gap: NDArray[np.float64] = self.held_out_loss[:, -1] - self.training_loss[:, -1]
        return gap

    @property
    def error_gap(self) -> NDArray[np.float64] | None:
        """Held-out errors less training errors at the end, [splits]; None where there are no classes."""
        if self.training_error is None or self.held_out_error is None:
            return None
        gap: NDArray[np.float64] = self.held_out_error[:, -1] - self.training_error[:, -1]
        return gap

    @property
    def coverage(self) -> float | None:
        """The share of the data set that was trained on here, held-out samples left out; None where not known."""
        if self.length is None:
            return 0.75 if self.closed else None
        return 0.75 * self.samples / max(self.length, 1)

    def rises(self, share: float, errors: float) -> bool:
        """Whether the held-out loss rose by this share of what was gained, and by so many standard errors in all."""
        marks_after = len(self.marks) - 1 - self.best
        clear = sure(self.rise, errors) and marks_after >= 2
        return clear and float(self.rise.mean()) > share * self.gained


@dataclass(frozen=True, slots=True)
class Remedy:
    """A training with a restraint: ``kind`` "dropout" or "weight_decay", ``value``, and the held-out loss [splits]."""

    kind: str
    value: float
    held_out_loss: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Remedies:
    """The same trainings as in ``Overfitting``, for the same ``steps``, each with one restraint."""

    steps: int
    tried: tuple[Remedy, ...]


@dataclass(frozen=True, slots=True)
class Width:
    """Trainings with hidden layers ``factor`` times as wide; losses [seeds] at the end."""

    factor: float
    parameters: int
    training_loss: NDArray[np.float64]
    held_out_loss: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Widths:
    """Half, once and twice the hidden width, each after ``steps``."""

    steps: int
    tried: tuple[Width, ...]

    def at(self, factor: float) -> Width | None:
        """The trainings at that width."""
        return next((each for each in self.tried if each.factor == factor), None)


@dataclass(frozen=True, slots=True)
class WarmStart:
    """Held-out loss at its best mark, [splits], from scratch and after the hidden layers learned to restore inputs.

    ``start``: before any step; ``samples``: labelled ones in all.
    """

    scratch: NDArray[np.float64]
    warm: NDArray[np.float64]
    start: float
    steps: int
    samples: int


def sure(differences: NDArray[np.float64], errors: float) -> bool:
    """Whether paired differences are all above zero, and their mean lies so many standard errors above it."""
    if len(differences) < 2 or not np.isfinite(differences).all() or not (differences > 0).all():
        return False
    error = float(differences.std(ddof=1)) / len(differences) ** 0.5
    return bool(differences.mean() > errors * error)
