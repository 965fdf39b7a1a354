"""How near numbers come to the ends of a function's domain or of a precision's range."""

from __future__ import annotations

from dataclasses import dataclass

from dnndoctor.findings import Location


@dataclass(frozen=True, slots=True)
class Domain:
    """One place of a function on a differentiable input (of a quotient: its divisor), over the sampled steps.

    ``least``: the smallest magnitude of its entries, ``largest`` their largest value. ``dtype``: "float32", ...
    """

    operation: str
    location: Location | None
    module: str
    dtype: str
    least: float
    largest: float


@dataclass(frozen=True, slots=True)
class Domains:
    """Every such place."""

    all: tuple[Domain, ...]


@dataclass(frozen=True, slots=True)
class HalfPlace:
    """One operation in float16: ``peak``: its largest magnitude; ``entries``: gradient entries at it that are not
    zero, ``vanishing``: of these the ones under 2**-21, where float16 has three bits left;
    ``zeros``: times that a gradient of nothing but zeros came."""

    operation: str
    location: Location | None
    module: str
    peak: float
    entries: float
    vanishing: float
    zeros: int = 0


@dataclass(frozen=True, slots=True)
class HalfPrecision:
    """Every operation in float16 of the sampled steps; ``scaled``: a GradScaler is in use."""

    places: tuple[HalfPlace, ...]
    scaled: bool = False
