"""The weights of a run as its checkpoints hold them."""

from __future__ import annotations

import itertools
import math
import re
import statistics
from dataclasses import dataclass

_MANY = 16  # inputs, from which on the size of a sum of them is known well enough

_NO_LAYER = re.compile(
    r"emb|wte|wpe|token|position|pos_|norm|running_|codebook|queue|bank|prototype|anchor|window|blur|filter|basis|mask"
    r"|relative|lora_|adapter|freq|prior|table|memory"
)


@dataclass(frozen=True, slots=True)
class SavedTensor:
    """One tensor of the model in one checkpoint; what is not finite is left out of its figures.

    ``bad``: entries that are not finite. ``moved``: norm of the change since the checkpoint before; ``was``: its norm
    there; both None in the first checkpoint, and where the shape is another one.

    Of matrices, and of kernels as matrices of one row for each output, else None: ``alike``: share of the rows that are
    the same as the first, ``quiet``: share of the rows that are 1000 times smaller than the median one; ``rank``: how
    many directions the entries spread over (the exponential of the entropy of the singular values), as a share of
    how many there could be; ``top``: share of the squared entries in the largest direction. All of a sample of at most
    512 rows, of 256 rows and columns for ``rank`` and ``top``, which are taken in the first and the last checkpoint.
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
    alike: float | None = None
    quiet: float | None = None
    rank: float | None = None
    top: float | None = None

    @property
    def rms(self) -> float:
        """Root mean square of its entries."""
        return self.norm / math.sqrt(max(math.prod(self.shape), 1))

    @property
    def fan_in(self) -> int:
        """Entries of a row: the inputs of a unit where rows are units."""
        return math.prod(self.shape[1:])

    @property
    def is_weight(self) -> bool:
        """Whether it is a matrix of weights by its name and shape: no embedding, table, buffer or depthwise kernel."""
        words = self.name.lower()
        named = re.search(r"weight|kernel|(^|\.)w\d*$", words) is not None and _NO_LAYER.search(words) is None
        depthwise = len(self.shape) > 2 and self.shape[1] == 1
        return named and len(self.shape) > 1 and self.shape[0] > 1 and self.fan_in > 1 and not depthwise


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One checkpoint. ``step``: nan where nothing tells it. ``held``: parameters that its optimizer holds."""

    path: str
    step: float
    tensors: tuple[SavedTensor, ...]
    held: int | None = None
    learning_rate: float | None = None

    @property
    def weights(self) -> tuple[SavedTensor, ...]:
        """The matrices of weights that are finite."""
        return tuple(each for each in self.tensors if each.is_weight and not each.bad)

    @property
    def normalized(self) -> bool:
        """Whether it has normalisation layers, which take the scale of weights out again."""
        said = re.compile(r"norm|running_mean|(^|[._])(bn|ln|gn)\d*[._]|gamma")
        return any(
            said.search(each.name.lower()) or (len(each.shape) == 1 and each.name.endswith(("weight", "scale")))
            for each in self.tensors
        )

    @property
    def scale(self) -> float | None:
        """How much a layer scales a signal: the median of rms * sqrt(fan_in) over weights of 16 inputs and more."""
        found = [each.rms * math.sqrt(each.fan_in) for each in self.weights if each.fan_in >= _MANY]
        return statistics.median(found) if found else None

    @property
    def broken(self) -> tuple[SavedTensor, ...]:
        """The tensors with entries that are not finite."""
        return tuple(each for each in self.tensors if each.bad)


@dataclass(frozen=True, slots=True)
class Snapshots:
    """The checkpoints that were read, in the order of their steps; ``unit``: what a step counts."""

    all: tuple[Snapshot, ...]
    unit: str = "step"

    @property
    def pairs(self) -> tuple[tuple[SavedTensor, SavedTensor], ...]:
        """Each matrix of weights of the last checkpoint, with what it was in the first, if it was there."""
        if len(self.all) < 2:
            return ()
        before = {each.name: each for each in self.all[0].weights}
        return tuple(
            (before[each.name], each)
            for each in self.all[-1].weights
            if each.name in before and before[each.name].shape == each.shape
        )

    def steepest(self, up: bool) -> tuple[Snapshot, Snapshot]:
        """Of the checkpoints in their order the two between which the weights grew, or shrank, the most."""
        sizes = [math.sqrt(sum(each.norm**2 for each in one.weights)) or 1e-300 for one in self.all]
        ratios = [later / earlier for earlier, later in itertools.pairwise(sizes)]
        at = ratios.index(max(ratios) if up else min(ratios))
        return self.all[at], self.all[at + 1]

    @property
    def moved(self) -> frozenset[str]:
        """The tensors that changed from any checkpoint to the next."""
        return frozenset(each.name for one in self.all[1:] for each in one.tensors if each.moved)

    def at(self, one: Snapshot) -> str:
        """ "ckpt.pt (step 500)"."""
        return one.path if one.step != one.step else f"{one.path} ({self.unit} {one.step:,.0f})"
