"""What the training loop was fed with."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dnndoctor.findings import Location


@dataclass(frozen=True, slots=True)
class DataTensor:
    """One tensor that enters training: an input of the model or the target of the loss, pooled over watched steps.

    ``role``: "input" or "target". ``name``: where it was seen ("argument 1 of Net", "target of cross_entropy").
    ``location``: the loader's construction if it came from one, else the model's or loss's call.
    ``kind``: "float", "integer", "bool". ``shape``: of one batch. ``samples``: rows pooled.
    ``mean``/``std``: over all pooled entries. ``feature_mean``/``feature_std`` [features] and
    ``feature_distinct`` [features] (number of distinct values, at most 17 counted) for two-dimensional inputs,
    empty otherwise. ``non_finite``: entries that are NaN or infinite, of ``entries`` seen, ``bad_samples`` the
    indices in the first bad batch and ``bad_step`` its step. ``masked``: entries were NaN and the model replaced
    them (its output was finite). ``spatial``: image-like, three or more dimensions.
    """

    role: str
    name: str
    location: Location | None
    kind: str
    shape: tuple[int, ...]
    samples: int
    mean: float
    std: float
    low: float
    high: float
    feature_mean: NDArray[np.float64]
    feature_std: NDArray[np.float64]
    feature_distinct: NDArray[np.int64]
    entries: int = 0
    non_finite: int = 0
    bad_samples: tuple[int, ...] = ()
    bad_step: int | None = None
    masked: bool = False
    spatial: bool = False


@dataclass(frozen=True, slots=True)
class TrainingData:
    """``first_layer``: kind of the layer that takes the input ("linear", "conv", "norm", "embedding", ...).

    ``first_norm``: the norm that alone takes what a first linear or convolution layer puts out ("batch_norm", ...).
    """

    tensors: tuple[DataTensor, ...]
    first_layer: str | None = None
    first_norm: str | None = None

    def role(self, role: str) -> tuple[DataTensor, ...]:
        """The tensors of that role."""
        return tuple(each for each in self.tensors if each.role == role)


@dataclass(frozen=True, slots=True)
class Loader:
    """One DataLoader. ``role``: "training" (steps were made inside its loop), "evaluation" or "unused".

    ``sampler``: class name. ``sequential``: it yields 0, 1, 2, ... ``length``: samples in the dataset, None for
    an iterable one. ``batch_size`` None if a batch sampler or no batching is used.
    """

    location: Location | None
    role: str
    batch_size: int | None
    sampler: str
    sequential: bool
    iterable: bool
    workers: int
    pin_memory: bool
    drop_last: bool
    dataset: str
    length: int | None
    shuffle_location: Location | None = None


@dataclass(frozen=True, slots=True)
class Loaders:
    """All DataLoaders that were iterated, and how the training loop takes its batches.

    ``batch_size``: samples per training step as seen at the model (median), with or without a loader;
    ``dataset_length``: samples that one epoch takes, None if unknown; ``accumulation``: backward passes per step.
    ``wait_share``: share of a training step spent waiting for the loader.
    ``batch_location``: where the batch size is set, or the loader or model call. ``uniform``: the samples of all
    batches are of one shape.
    """

    loaders: tuple[Loader, ...]
    batch_size: int
    dataset_length: int | None
    accumulation: int = 1
    wait_share: float = 0.0
    batch_location: Location | None = None
    uniform: bool = True

    @property
    def training(self) -> Loader | None:
        """The loader whose batches are trained on; the largest of several."""
        found = [each for each in self.loaders if each.role == "training"]
        return max(found, key=lambda each: each.length or 0) if found else None


@dataclass(frozen=True, slots=True)
class SampleOrder:
    """Whether the order in which the training samples come carries information.

    ``scanned``: samples whose order was looked at, in the order in which training takes them; ``source``:
    "dataset" (read at evenly spaced indices) or "batches" (the watched ones). ``classes``: 0 for regression.
    ``same_neighbour``: share of neighbouring samples with the same class; ``expected_same`` what chance gives.
    ``correlation``: correlation of neighbours' targets (regression). ``z``: how many standard errors either
    lies from chance. ``sorted``: targets never fall (or never rise) over the scan. ``recurrent``: the model
    carries state over, or the input is a window of one series.
    ``location``: the loader, else the model call. ``sequence``: the targets in that order, evenly thinned; empty where
    they were not kept.
    """

    scanned: int
    source: str
    classes: int
    same_neighbour: float
    expected_same: float
    correlation: float
    z: float
    sorted: bool
    shuffled: bool
    recurrent: bool = False
    location: Location | None = None
    sequence: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0), compare=False)
