"""What short trainings in the user's own loop came to: one batch by heart, blanked inputs, chance, other methods."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class OneBatchTrial:
    """Training on one batch again and again.

    ``rate``: learning rate; ``dropout``: it was left as it is; ``steps`` made; ``start``: the loss before the first
    one; ``final``: mean loss of the last tenth, inf where it diverged; ``learned``: a tenth of the start or less.
    ``curve``: losses at equal distances.
    """

    rate: float
    dropout: bool
    steps: int
    start: float
    final: float
    learned: bool
    curve: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class OneBatch:
    """Whether the model learns one batch by heart.

    ``contradicting``: samples of the batch that equal another but for the target, None where the batch was not one of
    inputs and targets. What they cost any model, in loss per sample: ``entropy`` in nats for classes, ``variance`` for
    float targets, None for the other kind.
    """

    trials: tuple[OneBatchTrial, ...]
    samples: int | None = None
    contradicting: int | None = None
    entropy: float | None = None
    variance: float | None = None

    @property
    def best(self) -> OneBatchTrial:
        """The trial with the lowest loss."""
        return min(self.trials, key=lambda trial: trial.final)


@dataclass(frozen=True, slots=True)
class BlankedInputs:
    """The same steps on the data and on zeros in its place, at ``rate``.

    ``start``: loss before any step; ``real``, ``blank``: mean loss over the last steps, inf where training diverged;
    ``gap_error``: standard error of their difference, nan where it is not known. ``change``: the largest change of
    an output in evaluation mode if the samples of a batch exchange their inputs, relative to the largest output, after
    the steps on the data; None where that cannot be told. ``paired``: both saw the same batches. ``quantized``: the
    model picks the nearest of some codes within a training pass, so that all inputs may share one for a while.
    ``real_curve``, ``blank_curve`` [steps]: the losses; empty where they were not kept.
    """

    rate: float
    steps: int
    start: float
    real: float
    blank: float
    gap_error: float
    change: float | None
    paired: bool
    quantized: bool = False
    real_curve: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0), compare=False)
    blank_curve: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0), compare=False)


@dataclass(frozen=True, slots=True)
class TrainingNoise:
    """How much of a loss is chance.

    ``scores``: mean loss over the last steps, one for each seed; ``spread``: their standard deviation. ``scale``: the
    simple gradient noise scale in samples (McCandlish et al. 2018) after those steps, ``scale_low`` and ``scale_high``
    two standard errors off; inf where the gradient does not stand clear of its noise; None where it was not measured,
    for the reason ``unscaled``. ``batch_size``: samples per step. ``batches`` were compared.
    """

    rate: float
    scores: tuple[float, ...]
    spread: float
    batch_size: int = 0
    batches: int = 0
    scale: float | None = None
    scale_low: float | None = None
    scale_high: float | None = None
    unscaled: str | None = None


@dataclass(frozen=True, slots=True)
class MethodRun:
    """One learning method: ``own`` is the user's optimizer. ``curves`` [seeds][steps]: loss; shorter where it diverged.

    ``scores``: mean loss over the last steps of each seed, inf where it diverged.
    """

    name: str
    own: bool
    rate: float
    curves: tuple[NDArray[np.float64], ...]
    scores: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class LearningMethods:
    """Several methods, each at its best rate, from one start on the same batches, for ``steps`` from several seeds.

    ``methods``: the first is the user's own at the user's rate; a second ``own`` one is it at its best rate.
    """

    optimizer: str
    steps: int
    methods: tuple[MethodRun, ...]
    paired: bool

    @property
    def user(self) -> MethodRun:
        """The user's optimizer at the user's rate."""
        return self.methods[0]

    @property
    def own_best(self) -> MethodRun:
        """The user's optimizer at the better of its rates."""
        return min((each for each in self.methods if each.own), key=lambda each: max(each.scores))

    @property
    def others(self) -> tuple[MethodRun, ...]:
        """All but the user's."""
        return tuple(each for each in self.methods if not each.own)
