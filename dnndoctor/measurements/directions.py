"""In how many directions hidden units vary."""

from __future__ import annotations

from dataclasses import dataclass

from dnndoctor.findings import Location


@dataclass(frozen=True, slots=True)
class DirectionsInUse:
    """One hidden activation of ``width`` units.

    ``rank``: the principal components that hold 99 % of the variance of its outputs over ``samples`` samples and
    positions, from step 100 of training on; taken from 512 of the units where there are more.
    """

    name: str
    location: Location | None
    width: int
    rank: int
    samples: int


@dataclass(frozen=True, slots=True)
class Directions:
    """All of them in the order of their first use."""

    sites: tuple[DirectionsInUse, ...]
