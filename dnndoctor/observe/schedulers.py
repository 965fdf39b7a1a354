"""The schedulers of the learning rate: whose they are, when they step, and what they were as they were built."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch.optim import lr_scheduler
from torch.utils.weak import WeakIdKeyDictionary

from dnndoctor.observe.habits import Habits
from dnndoctor.observe.plan import Plan, planned
from dnndoctor.observe.reading import LoopAround, calls, calls_on, held_by_user, loops_running
from dnndoctor.observe.source import caller, name_here, variable_names
from dnndoctor.observe.window import Border, Window

if TYPE_CHECKING:
    from dnndoctor.findings import Location
    from dnndoctor.observe.watch import Watch

LOOKS = (0, 5)  # steps at which the source is searched for calls
CALLS_LOOKED_AT = 3  # whose frames are read
MOST_SCHEDULERS = 8
_STEPPING = (
    lr_scheduler.LRScheduler,
    lr_scheduler.SequentialLR,
    lr_scheduler.ChainedScheduler,
    lr_scheduler.ReduceLROnPlateau,
    lr_scheduler.CosineAnnealingWarmRestarts,
)
_WITHOUT_SUPER = _STEPPING[1:4]  # whose construction is not one of their base class
_SETTINGS = ("T_max", "T_0", "total_steps", "step_size", "gamma", "factor", "total_iters", "max_lr", "eta_min")


@dataclass
class SchedulerFacts:
    """One scheduler, and its calls."""

    scheduler: Any
    location: Location | None
    name: str | None
    start: StandIn | None  # its optimizer's rates as it was built
    state: Any  # a copy of it from then, on that stand-in; None where it could not be copied
    calls: int = 0
    watched_calls: int = 0
    before_any_step: int = 0  # calls before its optimizer made its first step
    call_location: Location | None = None
    call_loops: list[LoopAround] = field(default_factory=list)
    given: bool = False  # a call had an argument: a metric or an epoch
    others: int = 0  # calls since which only other optimizers over the same parameters had stepped
    own_since: bool = False
    others_since: bool = False
    stepped: bool = False
    built_after: int = 0  # so many optimizers
    replaced: bool = False  # its optimizer, by one that was built later on the same parameters, and nobody holds it


class StandIn:
    """An optimizer's groups without its parameters, for a schedule to be run through."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.param_groups = [_numbers(group) for group in optimizer.param_groups]
        self.defaults = _numbers(optimizer.defaults)
        self._opt_called = True

    def step(self) -> None:
        """Nothing: a schedule only asks whether it was called."""

    step._wrapped_by_lr_sched = True  # type: ignore[attr-defined]

    def rate(self) -> float:
        """The largest rate of its groups."""
        return max((float(group["lr"]) for group in self.param_groups), default=0.0)


def _numbers(group: dict[str, Any]) -> dict[str, Any]:
    kept = {key: each for key, each in group.items() if key != "params"}
    return {key: float(each) if isinstance(each, torch.Tensor) else copy.copy(each) for key, each in kept.items()}


class Schedulers(Window):
    """Every scheduler of torch's kind that the script builds."""

    name = "schedulers"

    def __init__(self, watch: Watch) -> None:
        super().__init__(watch)
        self.all: list[SchedulerFacts] = []
        self._known: MutableMapping[Any, SchedulerFacts] = WeakIdKeyDictionary()
        self._inside = False
        self._order: MutableMapping[Any, int] = WeakIdKeyDictionary()  # of optimizers, as they were built

    def install(self, border: Border) -> None:
        """Wrap ``step`` of each class that has its own."""
        look = border.shielded(self._called)
        for cls in _STEPPING:
            border.patch(cls, "step", self._wrapped(cls.step, look))
        built = border.shielded(lambda one: self.scheduler_built(one, caller(one)))
        for cls in _WITHOUT_SUPER:
            border.patch(cls, "__init__", _then(cls.__init__, built))

    def _wrapped(self, original: Callable[..., Any], look: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def step(scheduler: Any, *args: Any, **kwargs: Any) -> Any:
            if self._inside or scheduler not in self._known:  # one inside of another, or one that is being built
                return original(scheduler, *args, **kwargs)
            self._inside = True
            try:
                look(scheduler, bool(args or kwargs))
                return original(scheduler, *args, **kwargs)
            finally:
                self._inside = False

        return step

    def optimizer_built(self, optimizer: torch.optim.Optimizer, _location: Location | None) -> None:
        """Number them."""
        self._order[optimizer] = len(self._order)

    def scheduler_built(self, scheduler: Any, location: Location | None) -> None:
        """Keep what it was: a schedule is run from its start."""
        self.watch.schedulers.setdefault(scheduler, None)
        if scheduler in self._known or len(self.all) >= MOST_SCHEDULERS:
            return
        optimizer = getattr(scheduler, "optimizer", None)
        start = state = None
        if isinstance(optimizer, torch.optim.Optimizer):
            start = StandIn(optimizer)
            state = copied(scheduler, optimizer, start)
        facts = SchedulerFacts(scheduler, location, None, start, state, built_after=len(self._order))
        for inner in getattr(scheduler, "_schedulers", ()):
            if inner in self._known:
                self.all = [each for each in self.all if each is not self._known[inner]]
        self._known[scheduler] = facts
        self.all.append(facts)

    def _called(self, scheduler: Any, given: bool) -> None:
        facts = self._known[scheduler]
        if facts not in self.all or not self.watch.observing:
            return
        facts.calls += 1
        facts.given = facts.given or given
        if facts.name is None:
            facts.name = variable_names({id(scheduler): scheduler}).get(id(scheduler))
        if facts.calls <= CALLS_LOOKED_AT:
            facts.call_location = caller()
            facts.call_loops = loops_running()
        if self.watch.deep:
            facts.watched_calls += 1
            facts.before_any_step += not facts.stepped and bool(facts.call_loops)
            facts.others += facts.others_since and not facts.own_since
        facts.own_since = facts.others_since = False

    def before_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Find the calls that are yet to come."""
        if self.watch.step not in LOOKS:
            return
        for facts in self.all:
            facts.replaced = facts.replaced or self._replaced(facts, optimizer)
            facts.name = facts.name or name_here(facts.scheduler) or None
            if facts.call_location is None:
                found = next(calls_on("step", lambda each, of=facts.scheduler: each is of), None)  # type: ignore[misc]
                if found is not None:
                    _, facts.call_location, facts.call_loops = found

    def _replaced(self, facts: SchedulerFacts, steps: torch.optim.Optimizer) -> bool:
        """Whether ``steps`` took the name of the scheduler's own optimizer, which nothing else holds any more."""
        mine = getattr(facts.scheduler, "optimizer", None)
        if mine is None or facts.stepped or self._order.get(steps, -1) < facts.built_after:
            return False
        return not _same(mine, steps) and _share(mine, steps) and not held_by_user(mine, facts.scheduler)

    def after_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Whose steps lie between the calls of a scheduler."""
        for facts in self.all:
            mine = getattr(facts.scheduler, "optimizer", None)
            if mine is not None and _same(mine, optimizer):
                facts.own_since = facts.stepped = True
            elif mine is not None and not facts.others_since and _share(mine, optimizer):
                facts.others_since = True

    def facts(self) -> dict[str, Any] | None:
        """Every scheduler."""
        return {"schedulers": [self._facts(each) for each in self.all]} if self.all else None

    @property
    def plan(self) -> Plan:
        """How long the run is meant to be."""
        return next(each for each in self.watch.windows.all if isinstance(each, Plan))

    def frequency(self, each: SchedulerFacts) -> tuple[str | None, int | None]:
        """Whether it is called per step or per epoch, and how often in the whole run; None where that is not known."""
        optimizer = getattr(each.scheduler, "optimizer", None)
        steps = self.plan.loops
        inside = [] if optimizer is None else self.plan.inside(optimizer, each.call_loops)
        if not inside or not steps:
            return None, None
        around, here = [one.location for one in steps], [one.location for one in inside]
        if here == around:
            known = (self.plan.facts() or {}).get("steps")
            # A library that calls it for the user may leave calls out, while gradients are accumulated.
            odd = self.plan.framework is not None or (inside[-1].conditional and not steps[-1].conditional)
            return ("epoch" if _by_epoch(inside) else "step"), None if odd else known
        if around[: len(here)] == here:
            alone = [*inside, LoopAround(here[-1], "range", 1)]
            return "epoch", None if inside[-1].conditional else planned(alone)["steps"]
        return None, None

    def _index(self, optimizer: Any) -> int | None:
        """Of an optimizer that stepped."""
        stepped = self.watch.optimizers if optimizer is not None else []
        return next((one.index for one in stepped if _same(optimizer, one.optimizer)), None)

    def _never_called(self, each: SchedulerFacts) -> bool:
        """Whether no line of the user's files can call it: every ``step()`` in them is an optimizer's."""
        if each.calls or each.call_location is not None or self.plan.framework is not None or not self.plan.loops:
            return False
        theirs = {(at.file, at.line) for one in self.watch.optimizers if (at := one.step_location) is not None}
        names = next(one.files() for one in self.watch.windows.all if isinstance(one, Habits))
        return all((file, node.lineno) in theirs for file in names for node in calls(file, "step"))

    def _facts(self, each: SchedulerFacts) -> dict[str, Any]:
        optimizer = getattr(each.scheduler, "optimizer", None)
        numbers = vars(each.scheduler)
        per, planned_calls = self.frequency(each)
        return {
            "per": per,
            "planned": planned_calls,
            "never_called": self._never_called(each),
            "name": type(each.scheduler).__name__,
            "location": each.location,
            "variable": each.name,
            "optimizer": self._index(optimizer),
            "settings": {key: numbers[key] for key in _SETTINGS if isinstance(numbers.get(key), (int, float))},
            "milestones": sorted(int(m) for m in numbers.get("milestones") or numbers.get("_milestones") or ()),
            "calls": each.calls,
            "watched_calls": each.watched_calls,
            "before_any_step": each.before_any_step,
            "call_location": each.call_location,
            "given": each.given,
            "others": each.others,
            "replaced": each.replaced,
        }


def _then(init: Callable[..., None], look: Callable[..., Any]) -> Callable[..., None]:
    @functools.wraps(init)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807 - it takes that method's place
        init(self, *args, **kwargs)
        look(self)

    return __init__


def _by_epoch(loops: list[LoopAround]) -> bool:
    """Whether it is one loop, whose every time through is an epoch: the whole data set is one batch."""
    return len(loops) == 1 and loops[0].kind != "loader" and any("epoch" in name for name in loops[0].names)


def _same(one: Any, other: torch.optim.Optimizer) -> bool:
    """Whether it is one optimizer: a wrapper has other identity, and the same groups."""
    return one is other or any(mine is theirs for mine in one.param_groups for theirs in other.param_groups)


def _share(one: torch.optim.Optimizer, other: torch.optim.Optimizer) -> bool:
    """Whether two optimizers hold the same parameters; told by the first."""
    first = next((p for group in one.param_groups for p in group["params"]), None)
    return first is not None and any(p is first for group in other.param_groups for p in group["params"])


def copied(scheduler: Any, optimizer: Any, stand_in: Any) -> Any:
    """A copy of the scheduler that works on the stand-in, None where it cannot be had without touching user objects."""
    memo: dict[int, Any] = {id(optimizer): stand_in}
    parts = [scheduler, *getattr(scheduler, "_schedulers", ())]
    if any(type(each).__module__ != lr_scheduler.__name__ for each in parts):
        return None
    if any(isinstance(each, lr_scheduler.ReduceLROnPlateau) for each in parts):
        return None
    for function in (each for part in parts for each in getattr(part, "lr_lambdas", ())):
        if getattr(function, "__self__", None) is not None:
            memo[id(function.__self__)] = function.__self__
        elif not hasattr(function, "__code__") and not isinstance(function, functools.partial):
            return None  # an object of the user's, which may count its calls
    try:
        return copy.deepcopy(scheduler, memo)
    except Exception:  # noqa: BLE001 - what it holds may refuse to be copied
        return None
