"""What a whole epoch is: its length, its last batch, the order of its samples, the labels of its batches."""

from __future__ import annotations

from dataclasses import dataclass

from dnndoctor.findings import Location


@dataclass(frozen=True, slots=True)
class LoaderEpoch:
    """One loader's epoch of ``samples``; ``last``: samples in its last batch, after ``batches`` full ones.

    ``entropy``: of the labels in a watched batch, in nats, mean of ``watched`` batches of ``watched_size`` samples;
    ``expected_entropy``: of as many samples drawn at random from all labels. Both 0 where no labels were seen.
    ``own_batches``: a batch sampler of the user's says which samples come together.
    """

    location: Location | None
    role: str
    samples: int
    batch_size: int
    last: int
    batches: int
    drop_last: bool
    entropy: float = 0.0
    expected_entropy: float = 0.0
    watched: int = 0
    watched_size: int = 0
    own_batches: bool = False


@dataclass(frozen=True, slots=True)
class RepeatedOrder:
    """A sampler that shuffles began an epoch with the very indices of the one before: the first ``compared``."""

    location: Location | None
    sampler: str
    compared: int


@dataclass(frozen=True, slots=True)
class Epochs:
    """``second_epochs``: how often an epoch's order could be compared with the one before.

    ``batch_norm``: a batch norm that is in training mode while the model is trained, None if there is none;
    ``batch_norm_values``: how many values of a channel one sample gives it.
    """

    loaders: tuple[LoaderEpoch, ...]
    second_epochs: int = 0
    repeated: tuple[RepeatedOrder, ...] = ()
    batch_norm: str | None = None
    batch_norm_values: int = 1

    def role(self, role: str) -> tuple[LoaderEpoch, ...]:
        """The loaders of that role."""
        return tuple(each for each in self.loaders if each.role == role)
