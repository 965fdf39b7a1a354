"""Several processes that train one model, side by side."""

from __future__ import annotations

from dataclasses import dataclass

from dnndoctor.findings import Location


@dataclass(frozen=True, slots=True)
class Ranks:
    """The ranks of one process group over their first steps; a world of one where a single process trains.

    ``wrapped``: DistributedDataParallel or FSDP holds the model. ``sharded``: each rank holds other parameters by
    design. ``collectives``: exchanges called by hand outside of forward passes, or steps
    with any. ``steps``: that all ranks had made;
    ``compared_steps`` of them, and the state before the first one, with the parameters compared bit for bit.
    ``started_equal``: all parameters agreed before the first step. ``differing``: names of those that differed at some
    time, from ``first_difference`` on (a step; -1: before the first). ``batches``: steps whose inputs were compared,
    ``same_batches``: in which all ranks had the same one. ``own_seconds``: per rank the median time from a step's end
    to the end of the next forward pass, in which it waits for nobody; ``step_seconds``: of a whole step.
    ``slowest_share``: per rank the share of the steps in which that took it longest. ``examined``: the rank that alone
    carries a watch, which makes it slower; -1 where there is none. ``model``, ``data``: where the model and the loader
    of batches are built, where no other measurement tells.
    """

    world: int
    wrapped: bool = False
    sharded: bool = False
    collectives: int = 0
    steps: int = 0
    compared_steps: int = 0
    parameters: int = 0
    started_equal: bool = True
    differing: tuple[str, ...] = ()
    first_difference: int | None = None
    batches: int = 0
    same_batches: int = 0
    own_seconds: tuple[float, ...] = ()
    slowest_share: tuple[float, ...] = ()
    step_seconds: float = 0.0
    examined: int = 0
    model: Location | None = None
    data: Location | None = None

    @property
    def synchronized(self) -> bool:
        """Whether anything keeps the ranks' parameters together."""
        return self.wrapped or self.sharded or self.collectives > 0
