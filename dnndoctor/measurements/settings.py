"""What layers were told when they were built."""

from __future__ import annotations

from dataclasses import dataclass

from dnndoctor.findings import Location


@dataclass(frozen=True, slots=True)
class NormSetting:
    """A norm layer of class ``kind`` with its epsilon.

    ``output_std`` is the standard deviation of all its outputs at the first step, over the mean of its initial
    weights; None where it was not seen. A norm with a small epsilon has 1.
    """

    name: str
    kind: str
    location: Location | None
    epsilon: float
    output_std: float | None = None


@dataclass(frozen=True, slots=True)
class RecurrentSetting:
    """A recurrent layer of class ``kind``: number of stacked ``layers``, rate of its ``dropout`` between them.

    ``still`` names the direction, "forward" or "reverse", of the last stacked layer whose recurrent weights got exactly
    no gradient in ``steps`` steps while those of the other direction did; None if both or neither did. ``read_at`` is
    the line that takes something out of its output. ``hidden_size``: of one direction, 0 where it is not known.
    """

    name: str
    kind: str
    location: Location | None
    layers: int
    dropout: float = 0.0
    bidirectional: bool = False
    still: str | None = None
    steps: int = 0
    read_at: Location | None = None
    batch_first: bool = False
    hidden_size: int = 0


@dataclass(frozen=True, slots=True)
class DropoutSetting:
    """A dropout layer of class ``kind`` with its rate; ``called``: some watched pass used it."""

    name: str
    kind: str
    location: Location | None
    p: float
    called: bool


@dataclass(frozen=True, slots=True)
class LayerSettings:
    """Of every model, in the order of their registration."""

    norms: tuple[NormSetting, ...] = ()
    recurrent: tuple[RecurrentSetting, ...] = ()
    dropouts: tuple[DropoutSetting, ...] = ()
