"""The recorder: hears of every step of the optimizer that leads the loop, and looks closer when it can afford to."""

from __future__ import annotations

import functools
import math
import os
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import nn
from torch.optim.optimizer import Optimizer

from dnndoctor.recorder import facts
from dnndoctor.recorder.activations import leaves
from dnndoctor.recorder.look import Look
from dnndoctor.recorder.looks import is_compiled, looks_of
from dnndoctor.recorder.meter import Cadence, Due, Meter
from dnndoctor.recorder.roots import Known, named_parameters
from dnndoctor.recorder.step import FigureListener, Listener, StepRecord
from dnndoctor.recorder.store import Store
from dnndoctor.recorder.transfer import Transfer

WITHOUT_LEAD = 25  # steps of another optimizer, after which that one leads: the loop has changed
TIMES_TOGETHER = 16  # steps whose times are told as their mean
RATE_AT_LEAST = 100  # steps, after which a rate that stays is told again
MAIN = ("loss", "learning rate", "gradient norm", "data wait", "step time")
ROLES = {"loss": "loss", "learning rate": "learning rate", "gradient norm": "gradient norm"}


class Recorder:
    """Follows a training into a store. Hooks call it (``recorder/hooks.py``); none of its methods raises.

    ``overhead``: the share of the run's time that it may spend, such as 0.01; ``math.inf`` looks at everything in every
    step. ``models``, ``optimizers``: what is followed; without them whatever makes steps, and what that trains.
    """

    def __init__(
        self,
        store: Store,
        *,
        overhead: float = 0.01,
        models: Sequence[nn.Module] = (),
        optimizers: Sequence[Optimizer] = (),
        listeners: Sequence[Listener] = (),
    ) -> None:
        self.store, self.listeners = store, list(listeners)
        self.meter = Meter()
        self.cadence = Cadence(self.meter, overhead)
        self.known = Known()
        self.models, self.optimizers = tuple(models), tuple(optimizers)
        self.step = 0
        self.lead: Optimizer | None = None
        self.failure: str | None = None
        self.closed = False
        self.asleep = 0  # steps to come that are not recorded; the last one of them wakes us
        self.wants_more = False  # somebody asks for every look in the next step
        self._pid = os.getpid()
        self._began = time.perf_counter()
        self._transfer = Transfer()
        self._main = {
            name: store.series(name, ROLES.get(name, "other"), **({} if name in ROLES else {"unit": "s"}))
            for name in MAIN
        }
        self._logged: dict[str, int] = {}
        self._looks: list[tuple[Due, Look]] = []
        self._now: list[tuple[Due, Look]] = []
        self._losses: list[torch.Tensor] = []
        self._unscaled: dict[int, torch.Tensor] = {}
        self._others: dict[int, tuple[Optimizer, int, int]] = {}  # by id: with the series of its loss and its rate
        self._without_lead = 0
        self.beside = 0  # steps of other optimizers than the one that leads
        self._step_began = self._began
        self._waited = self._waited_before = 0.0
        self._evaluated = False
        self._inputs: tuple[Any, ...] | None = None
        self._paid = self._looked = self._plumbing = (
            0.0  # seconds: in all until this step, by looks, and the rest of it
        )
        self._rate = (-1, -1, 0.0, math.nan)  # told at this step; held since, at this step and moment; its value
        self._times: list[tuple[float, float]] = []  # of the steps since they were told: waited, and in all
        self._batch_size = 0
        self.roots: list[nn.Module] = []
        self.named: list[tuple[str, torch.Tensor]] = []
        self.compiled = self._broken = False
        self.on_begin: Callable[[], None] = lambda: None  # before the first step is made
        self.stopping = False  # the training is to end at the next border of a step
        self.early: Callable[[Iterable[Any]], None] | None = None  # hears of losses before backward runs on them

    # what the hooks tell

    def loss(self, tensors: Iterable[Any]) -> None:
        """Backward runs on these."""
        if self.early is not None:
            self.early(tensors)
        for each in tensors:
            if isinstance(each, torch.Tensor) and each.numel() == 1:
                self._losses.append(self._unscaled.pop(id(each), each).detach())

    def scaled(self, before: Any, after: Any) -> None:
        """A loss was scaled up against underflow."""
        if isinstance(before, torch.Tensor) and isinstance(after, torch.Tensor):
            self._unscaled[id(after)] = before.detach()

    def waited(self, seconds: float) -> None:
        """The program waited for a batch."""
        self._waited += seconds

    def called(self, inputs: tuple[Any, ...], gradients: bool) -> None:
        """A root module is called, with ``gradients`` or without."""
        if not gradients:
            self._evaluated = True
        elif self._inputs is None:
            self._inputs = inputs
            self._batch_size = _batch_size(inputs)
            for each in self.listeners:
                self._shield(functools.partial(each.began, self.step, inputs))

    def log(self, name: str, value: float, role: str, step: int | None = None) -> None:
        """A figure that the program gives."""
        if name not in self._logged:
            self._logged[name] = self.store.series(name, role)
        at = self.step if step is None else step
        self.store.add(at, time.perf_counter() - self._began, [self._logged[name]], [float(value)])

    def before_step(self, optimizer: Optimizer) -> None:
        """The gradients are there, and the optimizer is about to use them."""
        if not self._follows(optimizer):
            return
        if self.lead is None:
            self._begin(optimizer)
        if optimizer is not self.lead:
            return
        for due, look in self._now:
            self._timed(due, look, look.before_step)

    def after_step(self, optimizer: Optimizer) -> None:
        """An optimizer has stepped."""
        if self.lead is None or not self._follows(optimizer):
            return
        if optimizer is not self.lead:
            self._other_stepped(optimizer)
            return
        self._without_lead = 0
        if not self.asleep:
            self._record()
        self._losses.clear()
        self._unscaled.clear()
        self._prepare()

    # one step

    def _follows(self, optimizer: Optimizer) -> bool:
        return not self.optimizers or any(optimizer is each for each in self.optimizers)

    def _begin(self, optimizer: Optimizer) -> None:
        """The first step of the optimizer that leads: what is trained, and what can be looked at."""
        self.lead = self.optimizers[0] if self.optimizers else optimizer
        self.on_begin()
        self.meter.start()
        held = [p for group in self.lead.param_groups for p in group["params"]]
        self.roots = list(self.models) or self.known.roots(held)
        self._declare(held)
        facts.write(self)
        self.meter.begun()
        self._step_began = time.perf_counter()

    def _declare(self, held: list[torch.Tensor]) -> None:
        self.named = named_parameters(self.roots, held)
        self.compiled = any(is_compiled(each) for each in self.roots)
        modules = [] if self.compiled else [pair for root in self.roots for pair in leaves(root)]
        for _, look in self._looks:
            look.drop()
        self._looks = [(Due(each.name), each) for each in looks_of(self.named, modules, self._series_of())]
        # The first step has begun already: what needs its forward pass waits for the next one.
        self._now = [pair for pair in self._looks if not pair[1].name.startswith("activations")]

    def _series_of(self) -> Callable[..., int]:
        """Series by name, so that a model that is met again goes on in its own."""
        known = self._declared
        store = self.store

        def declare(name: str, role: str, **what: Any) -> int:
            if name not in known:
                known[name] = store.series(name, role, **what)
            return known[name]

        return declare

    @functools.cached_property
    def _declared(self) -> dict[str, int]:
        return {}

    def _record(self) -> None:
        """Send off what this step showed."""
        now = time.perf_counter()
        figures: list[torch.Tensor] = list(self._losses)
        numbers: list[int] = []
        norm: torch.Tensor | None = None
        for due, look in self._now:
            seen = self._timed(due, look, look.after_step, ends=True)
            norm = getattr(look, "norm", None) if norm is None else norm
            if seen is not None:
                numbers += seen[0]
                figures.append(seen[1])
        if norm is not None:
            figures.append(norm)
        seconds = now - self._step_began
        waited = self._waited - self._waited_before
        if self._evaluated:
            seconds = waited = math.nan  # an evaluation ran in between
        assert self.lead is not None
        known = (self.step, now - self._began, _rate(self.lead), waited, seconds, self._batch_size)
        deliver = functools.partial(self._deliver, known, len(self._losses), numbers, norm is not None)
        self._transfer.send(figures, deliver)

    def _deliver(
        self,
        known: tuple[int, float, float, float, float, int],
        losses: int,
        numbers: list[int],
        normed: bool,
        figures: list[float],
    ) -> None:
        step, moment, rate, waited, seconds, size = known
        loss = sum(figures[:losses]) / losses if losses else math.nan
        norm = figures[-1] if normed else math.nan
        told, values = [], []
        if losses:
            told.append(self._main["loss"])
            values.append(loss)
        if normed:
            told.append(self._main["gradient norm"])
            values.append(norm)
        self._tell_rate(step, moment, rate)
        if seconds == seconds:
            self._times.append((waited, seconds))
            if len(self._times) >= TIMES_TOGETHER:
                told += [self._main["data wait"], self._main["step time"]]
                values += [sum(each) / len(self._times) for each in zip(*self._times, strict=True)]
                self._times.clear()
        if told or numbers:
            self.store.add(step, moment, told + numbers, values + figures[losses : losses + len(numbers)])
        if numbers and self.listeners:
            self._tell_figures(step, moment, numbers, figures[losses : losses + len(numbers)])
        record = StepRecord(step, moment, loss, rate, norm, waited, max(seconds - waited, 0.0), size)
        for each in self.listeners:
            self._shield(functools.partial(each.stepped, record))
        if losses and not math.isfinite(loss):
            self._not_finite(step, loss)

    def _not_finite(self, step: int, loss: float) -> None:
        """The next step is looked at in full; the first of all such steps is told at once."""
        if not self._broken:
            self._broken = True
            self.wants_more = True
            self.store.event(step, "non-finite loss", loss=str(loss))
            self.store.soon()

    def _tell_figures(self, step: int, moment: float, numbers: list[int], values: list[float]) -> None:
        """Figures of layers, by name, to the listeners that ask for them."""
        asking = [each.measured for each in self.listeners if isinstance(each, FigureListener)]
        if not asking:
            return
        names = {number: name for name, number in self._declared.items()}
        figures = {names[number]: value for number, value in zip(numbers, values, strict=True) if number in names}
        for each in asking:
            self._shield(functools.partial(each, step, moment, figures))

    def _tell_rate(self, step: int, moment: float, rate: float) -> None:
        """The learning rate where it changes, with the last point before that, and now and then where it does not."""
        told_at, held_at, held_moment, held = self._rate
        if rate != held:
            if held_at > told_at:
                self.store.add(held_at, held_moment, [self._main["learning rate"]], [held])
            told_at = -RATE_AT_LEAST
        if step - told_at >= RATE_AT_LEAST:
            self.store.add(step, moment, [self._main["learning rate"]], [rate])
            told_at = step
        self._rate = (told_at, step, moment, rate)

    def _prepare(self) -> None:
        """Choose what is looked at in the next step."""
        self.step += 1
        self.meter.steps += 1
        self._inputs = None
        self._evaluated = False
        self._step_began, self._waited_before = time.perf_counter(), self._waited
        spent = self.meter.spent
        if not self.asleep:
            plumbing = max(spent - self._paid - self._looked, 0.0)
            self._plumbing = plumbing if not self._plumbing else 0.8 * self._plumbing + 0.2 * plumbing
        self._paid, self._looked = spent, 0.0
        by_name = {due.name: (due, look) for due, look in self._looks}
        if self.wants_more:
            chosen, self.wants_more = [due for due, _ in self._looks], False
        else:
            chosen = self.cadence.choose([due for due, _ in self._looks])
        self._now = [by_name[each.name] for each in chosen]
        self.asleep = 0 if self._now or self._transfer.under_way else self.cadence.skip(self._plumbing) - 1
        for due, look in self._now:
            self._timed(due, look, look.before_forward)

    def sleep(self) -> None:
        """One of the steps that are not recorded."""
        self.asleep -= 1
        self.step += 1
        self.meter.steps += 1

    def _timed(self, due: Due, look: Look, call: Callable[[], Any], ends: bool = False) -> Any:
        began = time.perf_counter()
        try:
            return call()
        finally:
            due.pending += time.perf_counter() - began
            if ends:
                self.meter.add("activations", look.seconds)  # in hooks that nobody else times
                due.pending, look.seconds = due.pending + look.seconds, 0.0
                due.note(self.step)
                self._looked += due.cost

    def _other_stepped(self, optimizer: Optimizer) -> None:
        """An optimizer beside the lead: its own loss and rate; after many steps without the lead, it leads."""
        if id(optimizer) not in self._others:
            name = f"{type(optimizer).__name__} {len(self._others) + 2}"
            loss, rate = self.store.series(f"loss of {name}", "other"), self.store.series(f"rate of {name}", "other")
            self._others[id(optimizer)] = (optimizer, loss, rate)
        _, loss, rate = self._others[id(optimizer)]
        self.beside += 1
        losses, at, moment = list(self._losses), self.step, time.perf_counter() - self._began
        self._losses.clear()
        value = _rate(optimizer)

        def deliver(figures: list[float]) -> None:
            found = [sum(figures) / len(figures)] if figures else []
            self.store.add(at, moment, [rate, loss][: 1 + len(found)], [value, *found])

        self._transfer.send(losses, deliver)
        self._without_lead += 1
        if self._without_lead >= WITHOUT_LEAD and not self.optimizers:
            self._without_lead = 0
            self.store.event(self.step, "another optimizer", name=type(optimizer).__name__)
            self._begin(optimizer)
            self._prepare()

    def flush(self) -> None:
        """Make everything that has arrived last."""
        self._shield(lambda: self._transfer.collect(wait=True))
        self._shield(self.store.flush)

    # the end

    def close(self, outcome: str, error: BaseException | None = None) -> None:
        """Write what is still to be written; once."""
        if self.closed or os.getpid() != self._pid:
            return
        self.closed = True
        self._shield(lambda: self._transfer.collect(wait=True))
        for each in self.listeners:
            self._shield(functools.partial(each.closed, outcome, error))
        for _, look in self._looks:
            self._shield(look.drop)
        self._shield(lambda: facts.close(self, outcome, error))
        self._shield(self.store.close)

    def looks_taken(self) -> dict[str, dict[str, float]]:
        """Of each look how often it was taken, and what it has cost in seconds."""
        return {due.name: {"taken": due.taken, "seconds": due.total} for due, _ in self._looks}

    def fail(self, bug: BaseException) -> None:
        """A bug of ours: recording ends, the training does not."""
        if self.failure is None:
            self.failure = "".join(traceback.format_exception_only(bug)).strip()
            self.failure += f" ({traceback.extract_tb(bug.__traceback__)[-1].name})" if bug.__traceback__ else ""

    def adopt(self) -> None:
        """This process and thread are the ones that train, if any does."""
        self._pid = os.getpid()

    def add_listener(self, one: Listener) -> None:
        """It hears of the steps from now on."""
        self.listeners.append(one)

    def _shield(self, call: Callable[[], Any]) -> None:
        try:
            call()
        except Exception as bug:  # noqa: BLE001 - what we do must not become an exception of the program's
            self.fail(bug)


def _rate(optimizer: Optimizer) -> float:
    """The largest rate of its groups, as a plain number; a rate that is a tensor on a device is not waited for."""
    rates = [group.get("lr", 0.0) for group in optimizer.param_groups]
    plain = [float(each) for each in rates if not isinstance(each, torch.Tensor) or each.device.type == "cpu"]
    return max(plain, default=math.nan)


def _batch_size(inputs: tuple[Any, ...]) -> int:
    first = next((each for each in inputs if isinstance(each, torch.Tensor) and each.dim()), None)
    return int(first.shape[0]) if first is not None else 0
