"""Autograd functions of the user's own against finite differences."""

from __future__ import annotations

from dataclasses import dataclass

from dnndoctor.findings import Location


@dataclass(frozen=True, slots=True)
class CustomGradient:
    """One function that was checked in float64 on a copy of what it was applied to.

    ``compared``: entries of its inputs that were moved; ``sloped``: those that change its output; ``wrong``: of these
    the ones for which its backward pass gives another gradient. ``ratio``: gradient over slope, their median;
    ``spread``: of that ratio. ``identity``: it hands its input on unchanged. ``surrogate``: entries that
    change nothing and have a gradient all the same. ``missing``: why it was not checked.
    ``defined``: the line of its ``backward``, ``location`` that of its call.
    """

    name: str
    location: Location | None
    compared: int = 0
    sloped: int = 0
    wrong: int = 0
    ratio: float | None = None
    spread: float | None = None
    identity: bool = False
    surrogate: int = 0
    missing: str | None = None
    defined: Location | None = None


@dataclass(frozen=True, slots=True)
class CustomGradients:
    """Every function of the user's own that was applied in the watched steps."""

    functions: tuple[CustomGradient, ...]
