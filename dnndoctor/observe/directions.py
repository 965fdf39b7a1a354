"""In how many directions hidden units vary: samples of what they put out, once training has begun."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from dnndoctor.observe.names import operation_name
from dnndoctor.observe.sampling import stride_for
from dnndoctor.observe.source import caller, is_user_class
from dnndoctor.observe.transforms import readable
from dnndoctor.observe.window import Window

if TYPE_CHECKING:
    from dnndoctor.findings import Location
    from dnndoctor.observe.watch import Watch

FIRST_STEP = 100  # before it the units are as random as their initial weights
ROWS, ROWS_IN_STEP, UNITS = 2048, 256, 512
MOST_SITES = 32
KEPT = 0.99  # of the variance
_NAMES = frozenset("relu leaky_relu elu selu celu gelu silu mish softplus tanh".split())


@dataclass
class Outputs:
    """Rows of one activation's outputs, [samples and positions, units], on the host."""

    location: Location | None
    width: int
    rows: list[NDArray[np.float32]] = field(default_factory=list)
    count: int = 0
    rank: int | None = None


class Directions(Window):
    """Of hidden activations in training passes from step 100 on, until there are rows enough."""

    name = "directions"

    def __init__(self, watch: Watch) -> None:
        super().__init__(watch)
        self._sites: dict[str, Outputs] = {}
        self._step, self._order = -1, 0

    def function(self, func: Callable[..., Any], _args: tuple[Any, ...], _kwargs: dict[str, Any], result: Any) -> None:
        """Keep some of what an activation gave."""
        if self.watch.step < FIRST_STEP or not torch.is_grad_enabled() or operation_name(func) not in _NAMES:
            return
        if self._step != self.watch.step:
            self._step, self._order = self.watch.step, 0
        self._order += 1
        if isinstance(result, torch.Tensor) and result.dim() > 1 and result.requires_grad and readable(result):
            site = self._site(operation_name(func), result)
            if site is not None and site.count < ROWS:
                self._keep(site, result.detach())

    def _site(self, name: str, result: torch.Tensor) -> Outputs | None:
        module = self.watch.stack[-1] if self.watch.stack else None
        path = self.watch.modules.path(module) if module is not None else ""
        key = f"{path or name} ({self._order})" if module is None or is_user_class(type(module)) else path
        if key not in self._sites and len(self._sites) < MOST_SITES:
            library = module is not None and not is_user_class(type(module))
            built = self.watch.modules.location(module) if module is not None and library else None
            self._sites[key] = Outputs(built or caller(), int(result.shape[1 if result.dim() > 3 else -1]))
        return self._sites.get(key)

    @staticmethod
    def _keep(site: Outputs, result: torch.Tensor) -> None:
        rows = result.movedim(1, -1) if result.dim() > 3 else result
        rows = rows.reshape(-1, rows.shape[-1])
        if rows.shape[1] != site.width:
            return
        some = rows[:: stride_for(len(rows), ROWS_IN_STEP, *result.shape), :: -(-site.width // UNITS)][:ROWS_IN_STEP]
        site.rows.append(some.float().cpu().numpy().copy())
        site.count += len(some)

    def facts(self) -> dict[str, Any] | None:
        """Each activation's width and rank, once there are enough rows."""
        found = []
        for key, site in self._sites.items():
            if site.rank is None and site.count >= ROWS:
                site.rank = effective_rank(np.concatenate(site.rows))
                site.rows.clear()
            if site.rank is not None:
                facts = {"name": key, "location": site.location, "width": site.width}
                found.append({**facts, "rank": site.rank, "samples": site.count})
        return {"sites": found, "kept": KEPT} if found else None


def effective_rank(rows: NDArray[np.float32]) -> int:
    """The number of principal components that hold 99 % of the variance of [samples, units]; 0 of constants."""
    finite = rows[np.isfinite(rows).all(axis=1)].astype(np.float64)
    if len(finite) < 2:
        return 0
    values = np.linalg.eigvalsh(np.cov(finite, rowvar=False).reshape(finite.shape[1], -1))[::-1].clip(min=0)
    total = values.sum()
    return int(np.searchsorted(np.cumsum(values), KEPT * total) + 1) if total > 0 else 0
