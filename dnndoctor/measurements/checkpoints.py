"""The weights of a run as its checkpoints hold them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SavedTensor:
    """One tensor of the model in one checkpoint; what is not finite is left out of its figures.

    ``bad``: entries that are not finite. ``moved``: norm of the change since the checkpoint before; ``was``: its norm
    there; both None in the first checkpoint, and where the shape is another one.
    """

    name: str
    shape: tuple[int, ...]
    norm: float
    mean: float
    std: float
    max_abs: float
    bad: int
    zero_share: float
    moved: float | None = None
    was: float | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One checkpoint. ``step``: nan where nothing tells it. ``held``: parameters that its optimizer holds."""

    path: str
    step: float
    tensors: tuple[SavedTensor, ...]
    held: int | None = None
    learning_rate: float | None = None

    @property
    def broken(self) -> tuple[SavedTensor, ...]:
        """The tensors with entries that are not finite."""
        return tuple(each for each in self.tensors if each.bad)


@dataclass(frozen=True, slots=True)
class Snapshots:
    """The checkpoints that were read, in the order of their steps; ``unit``: what a step counts."""

    all: tuple[Snapshot, ...]
    unit: str = "step"

    def at(self, one: Snapshot) -> str:
        """ "ckpt.pt (step 500)"."""
        return one.path if one.step != one.step else f"{one.path} ({self.unit} {one.step:,.0f})"
