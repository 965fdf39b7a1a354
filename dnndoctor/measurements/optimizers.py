"""The optimizers and schedulers of the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dnndoctor.findings import Location


@dataclass(frozen=True, slots=True)
class Optimizer:
    """One optimizer; ``settings`` are the first group's numbers (momentum, betas, eps, weight_decay, ...).

    ``learning_rates`` are the groups' rates at the first step, ``peak_rate`` the largest seen over the watched
    steps. ``warming_up``: the rate rose over the watched steps. ``rate_location`` is the ``lr`` argument's place
    where the source has one. ``model`` names the model whose parameters it holds, if that is one model.
    ``closure``: its steps take one (LBFGS).
    """

    name: str
    location: Location | None
    learning_rates: tuple[float, ...]
    peak_rate: float
    warming_up: bool = False
    rate_location: Location | None = None
    scheduler: str | None = None
    model: str = ""
    closure: bool = False
    steps: int = 0
    settings: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Optimizers:
    """All optimizers that made a step, in the order of their first."""

    all: tuple[Optimizer, ...]

    @property
    def main(self) -> Optimizer:
        """The one that made the most steps; the first of several."""
        return max(self.all, key=lambda each: each.steps)
