"""What stands directly behind what in the watched forward pass."""

from __future__ import annotations

from dataclasses import dataclass

from dnndoctor.findings import Location


@dataclass(frozen=True, slots=True)
class LinearPair:
    """Two trained linear layers or convolutions of which the second takes the first's output as it is.

    ``first`` and ``second`` are their paths and ``location`` the line where the activation would belong. ``inputs``
    are the features or channels going into the first, ``inner`` those between the two, ``outputs`` those that come
    out. ``siblings``: they belong to the same part of the model, or to parts of one kind. ``head``: the second is the
    model's output layer.
    """

    first: str
    second: str
    location: Location | None
    inputs: int
    inner: int
    outputs: int
    siblings: bool = True
    head: bool = True


@dataclass(frozen=True, slots=True)
class BiasBeforeNorm:
    """A layer with a bias of ``entries`` whose only consumer is the batch or instance norm ``norm``."""

    layer: str
    norm: str
    location: Location | None
    entries: int


@dataclass(frozen=True, slots=True)
class Dropout:
    """One use of a dropout in a training pass.

    ``function`` is "dropout", "dropout2d", ...; ``p`` the probability to drop, None where it was not seen; ``active``
    says that it was in training mode. ``shape`` is its input's. ``norm`` names the batch norm that it feeds directly;
    ``loss`` the loss that its output goes into with no layer between; ``after`` the layer before it. ``ignored``:
    nothing takes its output, while what it was given is used further on. ``data``: nothing trained stands before it.
    ``call`` is the line that puts it there: the call, or in a sequence of layers the line that builds it.
    """

    name: str
    function: str
    location: Location | None
    p: float | None
    active: bool
    shape: tuple[int, ...] = ()
    norm: str | None = None
    loss: str | None = None
    after: str | None = None
    ignored: bool = False
    data: bool = False
    call: Location | None = None


@dataclass(frozen=True, slots=True)
class Wiring:
    """All of these, in forward order; ``affine`` is the number of linear layers and convolutions."""

    pairs: tuple[LinearPair, ...] = ()
    biases: tuple[BiasBeforeNorm, ...] = ()
    dropouts: tuple[Dropout, ...] = ()
    affine: int = 0
