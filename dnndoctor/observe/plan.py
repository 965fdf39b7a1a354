"""How long the run is meant to be: the loops that an optimizer steps in, read from the frames that are running."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

from torch.utils.weak import WeakIdKeyDictionary

from dnndoctor.observe.reading import LoopAround, length_of, loops_running
from dnndoctor.observe.window import Window

if TYPE_CHECKING:
    import torch

    from dnndoctor.findings import Location
    from dnndoctor.observe.steps import OptimizerFacts
    from dnndoctor.observe.watch import Watch

LOOKS = (0, 1, 5)  # steps at which the frames are read
GRIDS = ("product", "ParameterGrid")
_SETTING = re.compile(
    r"(^|_)(lr|lrs|rate|wd|decay|batch|bs|hidden|width|depth|layers?|dropout|p|momentum|alpha|beta|gamma|lam|lambda|"
    r"units?|dim|size|optim\w*|act\w*|l1|l2|reg)($|_)",
    re.IGNORECASE,
)
FRAMEWORKS = ("transformers", "lightning", "pytorch_lightning", "accelerate", "ignite", "skorch", "fastai", "keras")


class Plan(Window):
    """The loops around the lead optimizer's step, without those around its construction."""

    name = "plan"

    def __init__(self, watch: Watch) -> None:
        super().__init__(watch)
        self.loops: list[LoopAround] = []
        self.framework: str | None = None
        self._around: MutableMapping[Any, list[LoopAround]] = WeakIdKeyDictionary()
        self._told: dict[str, Any] = {}

    def optimizer_built(self, optimizer: torch.optim.Optimizer, _location: Location | None) -> None:
        """Loops around its construction train anew each time."""
        self._around[optimizer] = loops_running()

    def before_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Read the frames, a few times: the first pass may differ from the next."""
        if self.watch.step not in LOOKS or (
            self.watch.optimizers and optimizer is not self.watch.optimizers[0].optimizer
        ):
            return
        self.framework = _framework()
        if self.framework is not None:
            self._told = _told_by_framework()
        # A count that has begun says less of the whole later on.
        known = {each.location: each for each in self.loops if each.length is not None}
        self.loops = [known.get(each.location, each) for each in self.inside(optimizer, loops_running())]

    def inside(self, optimizer: torch.optim.Optimizer, loops: list[LoopAround]) -> list[LoopAround]:
        """Of these loops, those within which this optimizer goes on."""
        outer = {each.location for each in self._around.get(optimizer, ())}
        return [self._with_length(each) for each in loops if each.location not in outer]

    def _with_length(self, loop: LoopAround) -> LoopAround:
        """What is drawn from a loader that no variable names is as long as the loader in use."""
        current = self.watch.loaders.current
        if loop.kind != "other" or loop.length is not None or current is None or current.batches < 1:
            return loop
        length = length_of(current.loader)
        return LoopAround(loop.location, "loader", length, loop.names, breaks=loop.breaks, conditional=loop.conditional)

    def facts(self) -> dict[str, Any] | None:
        """Epochs, steps of an epoch and in all, as far as they are known."""
        lead = self.watch.optimizers[0] if self.watch.optimizers else None
        searched, at = _searched(self._around.get(lead.optimizer, []) if lead is not None else [])
        if not self.loops and not self._told:
            return {"framework": self.framework, "searched": searched, "searched_at": at}
        known = planned(self.loops, _backwards_per_step(lead), self.framework is not None)
        known = {**known, **{key: each for key, each in self._told.items() if each is not None}}
        return {
            **known,
            "framework": self.framework,
            "ends_early": any(each.breaks for each in self.loops),
            "location": self.loops[0].location if self.loops else None,
            "searched": searched,
            "searched_at": at,
            "loops": [[each.kind, each.length, list(each.names), each.location] for each in self.loops],
        }


def _backwards_per_step(lead: OptimizerFacts | None) -> int:
    """Of the first step's only the last one was counted."""
    if lead is None or lead.steps < 2:
        return 1
    return max(round((lead.backwards_total - 1) / (lead.steps - 1)), 1)


def _searched(loops: list[LoopAround]) -> tuple[list[str], Location | None]:
    """The settings that loops around the whole training go through, and where the first such loop stands."""
    grids = [each for each in loops if each.over in GRIDS]
    tried = [each for each in loops if (each.length or 0) > 1 and any(_SETTING.search(name) for name in each.names)]
    names = [name for each in grids for name in each.names] if grids else [n for each in tried for n in each.names]
    if not grids and len(tried) < 2:
        return [], None
    return names, (grids or tried)[0].location


def planned(loops: list[LoopAround], backwards: int = 1, accumulates: bool = False) -> dict[str, int | None]:
    """Epochs, steps per epoch and steps in all of what runs in these loops, each None where it is not known.

    ``backwards``: of one step, by which what runs under a condition runs less often, and everything where a library
    ``accumulates`` gradients by itself.
    """
    if not loops:
        return {"epochs": None, "steps_per_epoch": None, "steps": None}
    seldom = backwards if loops[-1].conditional or accumulates else 1
    at = next((i for i, each in enumerate(loops) if each.kind == "loader"), len(loops) - 1)
    outer, inner = loops[:at], loops[at:]
    if len(loops) == 1 and inner[0].kind != "loader" and any("epoch" in name for name in inner[0].names):
        outer, inner = inner, []
    per_epoch = _product(inner, seldom)
    counted = next((each for each in loops if each.total), None)
    steps = counted.length if counted is not None else _product(loops, seldom)
    epochs = _product(outer, 1) if outer and counted is None else None
    if epochs is None and steps and per_epoch and (len(loops) > 1 or loops[0].kind == "loader"):
        epochs = math.ceil(steps / per_epoch)
    return {"epochs": epochs, "steps_per_epoch": per_epoch, "steps": steps}


def _product(loops: list[LoopAround], seldom: int) -> int | None:
    lengths = [each.length for each in loops]
    if any(each is None for each in lengths) or any(each.breaks and each.kind == "loader" for each in loops):
        return None
    return max(math.prod(each for each in lengths if each is not None) // seldom, 1)


def _framework() -> str | None:
    """The library whose loop it is."""
    frame = sys._getframe(1)
    while frame is not None:
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if package in FRAMEWORKS:
            return package
        frame = frame.f_back  # type: ignore[assignment]
    return None


def _told_by_framework() -> dict[str, Any]:
    """What the loop of a Trainer says of itself."""
    frame = sys._getframe(1)
    while frame is not None:
        module, names = str(frame.f_globals.get("__name__", "")), frame.f_locals
        if module == "transformers.trainer" and isinstance(names.get("max_steps"), int):
            epochs, steps = names.get("num_train_epochs"), names["max_steps"]
            return {"epochs": _whole(epochs), "steps": steps if steps > 0 else None}
        if module.endswith("loops.fit_loop") and "self" in names:
            return _told_by_lightning(names["self"])
        frame = frame.f_back  # type: ignore[assignment]
    return {}


def _told_by_lightning(loop: Any) -> dict[str, Any]:
    trainer = getattr(loop, "trainer", None)
    batches, epochs = getattr(loop, "max_batches", None), getattr(loop, "max_epochs", None)
    limit = getattr(trainer, "max_steps", -1)
    epochs = epochs if isinstance(epochs, int) and epochs > 0 else None
    per_epoch = int(batches) if isinstance(batches, (int, float)) and math.isfinite(batches) and batches else None
    steps = epochs * per_epoch if epochs and per_epoch else None
    if isinstance(limit, int) and limit > 0:
        steps = min(steps or limit, limit)
    return {"epochs": epochs, "steps_per_epoch": per_epoch, "steps": steps}


def _whole(number: Any) -> int | None:
    return int(number) if isinstance(number, (int, float)) and math.isfinite(number) and number >= 1 else None
