"""The recorder: hears of every step of the optimizer that leads the loop, and looks closer when it can afford to."""

from __future__ import annotations

import functools
import math
import os
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.optim.optimizer import Optimizer

from dnndoctor.recorder import facts
from dnndoctor.recorder.activations import leaves
from dnndoctor.recorder.curves import Curves
from dnndoctor.recorder.evaluations import Evaluations
from dnndoctor.recorder.look import Look
from dnndoctor.recorder.looks import Gradients, is_compiled, looks_of
from dnndoctor.recorder.losses import Losses, mean_of
from dnndoctor.recorder.meter import Cadence, Due, Meter
from dnndoctor.recorder.roots import Known, named_parameters
from dnndoctor.recorder.step import FigureListener, Listener, StepRecord
from dnndoctor.recorder.store import Store
from dnndoctor.recorder.transfer import Transfer

WITHOUT_LEAD = 25  # steps of another optimizer, after which that one leads: the loop has changed


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
        self.asleep = 0  # steps to come of which only losses are kept; the last one of them wakes us
        self.deaf = False  # and of this one not even that
        self.wants_more = False  # somebody asks for every look in the next step
        self._pid = os.getpid()
        self._began = time.perf_counter()
        self._transfer = Transfer()
        self._curves = Curves(store)
        self._losses = Losses()
        self.evaluations = Evaluations()
        self._validated = False  # the program tells of its own validation loss
        self._looks: list[tuple[Due, Look]] = []
        self._now: list[tuple[Due, Look]] = []
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
        self.left_out = 0  # steps that a scaler did not let be made
        self._batch_size = 0
        self.roots: list[nn.Module] = []
        self.named: list[tuple[str, torch.Tensor]] = []
        self.compiled = self._broken = self._targeted = self._sized = False
        self.on_begin: Callable[[], None] = lambda: None  # before the first step is made
        self._names: dict[int, str] = {}
        self.stopping = False  # the training is to end at the next border of a step
        self.on_change: Callable[[], Recorder] | None = None  # gives who records the next training of the program
        self._change = False
        self._woken = 0
        self.on_event: Callable[[], None] = lambda: None  # something is written that is to be judged at once
        self.late: Callable[[float, int], None] | None = None  # hears of losses that are not finite as they arrive
        self.early: Callable[[list[Any], bool], None] | None = None  # hears of losses before backward runs on them

    # what the hooks tell

    def loss(self, tensors: Iterable[Any]) -> None:
        """Backward runs on these."""
        if self._change and self.on_change is not None:
            self._change = False
            self.on_change().loss(tensors)
            return
        broken = False
        for each in tensors:
            if self._losses.take(each):
                broken = True
                if not self._broken:
                    self.asleep = min(self.asleep, 1)  # the step that has just broken is told at its end
        if self.early is not None:
            self.early(self._losses.of_now(), broken)

    def scaled(self, before: Any, after: Any) -> None:
        """A loss was scaled up against underflow."""
        if isinstance(before, torch.Tensor) and isinstance(after, torch.Tensor):
            self._losses.scaled(before, after)

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
        self._validated = self._validated or role == "validation loss"
        at = self.step if step is None else step
        self._curves.given(at, time.perf_counter() - self._began, name, float(value), role)

    def evaluated(self, loss: torch.Tensor) -> None:
        """The program's criterion gave this in an evaluation."""
        if not self._validated and self.lead is not None:
            self.evaluations.take(self.step, time.perf_counter() - self._began, loss)

    def _send_evaluations(self) -> None:
        for step, moment, name, values in self.evaluations.ended():
            role = self.evaluations.role(name)
            known = [each for each in values if not isinstance(each, torch.Tensor)]

            def deliver(
                figures: list[float],
                told: tuple[int, float, str, str] = (step, moment, name, role),
                known: list[float] = known,
            ) -> None:
                at, when, which, kind = told
                self._curves.given(at, when, which, mean_of([*known, *figures]), kind)

            self._transfer.send([each for each in values if isinstance(each, torch.Tensor)], deliver)

    def before_step(self, optimizer: Optimizer) -> None:
        """The gradients are there, and the optimizer is about to use them."""
        if not self.follows(optimizer):
            return
        if self.lead is None:
            self._begin(optimizer)
        if optimizer is not self.lead or self.asleep:
            return
        for due, look in self._now:
            if isinstance(look, Gradients):
                look.scale = getattr(optimizer, "grad_scale", None)
            self._timed(due, look, look.before_step)

    def closure_called(self, optimizer: Optimizer) -> None:
        """The optimizer's closure has been evaluated for the first time in this step."""
        if self.lead is None or optimizer is self.lead:
            self._losses.enough()
        self.before_step(optimizer)

    def after_step(self, optimizer: Optimizer, made: bool = True) -> None:
        """An optimizer has stepped; or, not ``made``, a scaler left the step out, since gradients were not finite."""
        if not self.follows(optimizer):
            return
        if self.lead is None:
            self._begin(optimizer)
        if optimizer is not self.lead and not self._replaces(optimizer):
            self._other_stepped(optimizer)
            return
        self._without_lead = 0
        if not made:
            self._leave_out()
        now = time.perf_counter()
        self._losses.end_step(self.step, now - self._began, _rate(optimizer))
        if self.asleep:
            self._send_losses()
        else:
            self._record(now)
        self._send_evaluations()
        self._prepare()

    def _leave_out(self) -> None:
        """What was looked at would tell of a step that was not made."""
        self.left_out += 1
        for _, look in self._now:
            look.drop()
        self._now = []

    # one step

    def follows(self, optimizer: Optimizer) -> bool:
        """Whether this optimizer's steps are to be recorded."""
        return not self.optimizers or any(optimizer is each for each in self.optimizers)

    def _begin(self, optimizer: Optimizer) -> None:
        """The first step of the optimizer that leads: what is trained, and what can be looked at."""
        self.lead = self.optimizers[0] if self.optimizers else optimizer
        self.on_begin()
        self.known.begin_training()
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

    def _record(self, now: float) -> None:
        """Send off what this step showed."""
        figures: list[torch.Tensor] = []
        numbers: list[int] = []
        norm: torch.Tensor | None = None
        for due, look in self._now:
            seen = self._timed(due, look, look.after_step, ends=True)
            if isinstance(look, Gradients):
                norm = look.norm
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
        moment = now - self._began
        self._curves.times(self.step, moment, waited, seconds)
        record = StepRecord(
            self.step,
            moment,
            math.nan,
            _rate(self.lead),
            math.nan,
            waited,
            max(seconds - waited, 0.0),
            self._batch_size,
        )
        self._send_losses(functools.partial(self._deliver, record, numbers, norm is not None), figures)

    def _send_losses(
        self, then: Callable[[list[float], float], None] | None = None, figures: Sequence[torch.Tensor] = ()
    ) -> None:
        """The losses of all steps until this one, and after them these figures, for ``then`` with this step's loss."""
        steps = self._losses.ended()
        tensors = [each for one in steps for each in one.values if isinstance(each, torch.Tensor)]
        at = self.step

        def deliver(arrived: list[float]) -> None:
            following = iter(arrived)
            loss = math.nan
            for one in steps:
                mean = mean_of([next(following) if isinstance(each, torch.Tensor) else each for each in one.values])
                self._curves.loss(one.step, one.moment, mean)
                if one.rate == one.rate:
                    self._curves.rate(one.step, one.moment, one.rate)
                if one.step == at:
                    loss = mean
                if not math.isfinite(mean):
                    self._not_finite(one.step, mean)
            if then is not None:
                then(list(following), loss)

        self._transfer.send([*tensors, *figures], deliver)

    def _deliver(self, record: StepRecord, numbers: list[int], normed: bool, figures: list[float], loss: float) -> None:
        step, moment = record.step, record.time
        norm = figures[-1] if normed else math.nan
        if normed:
            self._curves.norm(step, moment, norm)
        self._curves.rate(step, moment, record.learning_rate)
        if numbers:
            self.store.add(step, moment, numbers, figures[: len(numbers)])
        if numbers and self.listeners:
            self._tell_figures(step, moment, numbers, figures[: len(numbers)])
        if self.listeners:
            whole = replace(record, loss=loss, grad_norm=norm)
            for each in self.listeners:
                self._shield(functools.partial(each.stepped, whole))

    def _not_finite(self, step: int, loss: float) -> None:
        """The next step is looked at in full; the first of all such steps is told at once."""
        if self.late is not None:
            self.late(loss, step)
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
        if len(self._names) < len(self._declared):
            self._names = {number: name for name, number in self._declared.items()}
        names = self._names
        figures = {names[number]: value for number, value in zip(numbers, values, strict=True) if number in names}
        for each in asking:
            self._shield(functools.partial(each, step, moment, figures))

    def _prepare(self) -> None:
        """Choose what is looked at in the next step."""
        self.step += 1
        self.meter.steps += 1
        self._inputs = None
        self._evaluated = False
        self._step_began, self._waited_before = time.perf_counter(), self._waited
        self.deaf = False
        self.meter.kept += 1
        self.meter.settle(self.store.seconds)
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
        if self.known.loads and not self._targeted and self.known.has_target_network(self.roots):
            self._targeted = True
            self.store.run(target_network=True)
        if self._batch_size and not self._sized:
            self._sized = True
            self.store.run(batch_size=self._batch_size)

    def sleep(self) -> None:
        """One of the steps of which at most the loss is kept."""
        if not self.deaf:
            assert self.lead is not None
            self._losses.end_step(self.step, time.perf_counter() - self._began, _rate(self.lead))
            self.meter.kept += 1
        self.asleep -= 1
        self.step += 1
        self._without_lead = 0
        self.meter.steps += 1
        self.deaf = self.asleep > 1 and self.asleep % self.cadence.every_loss != 0

    def other_slept(self, optimizer: Optimizer) -> None:
        """An optimizer beside the lead has stepped in a step of which only the loss is kept."""
        if self._replaces(optimizer):
            self.sleep()
            return
        self._losses.clear()
        self.beside += 1
        self._without_lead += 1
        if self._without_lead == WITHOUT_LEAD and self._is_next(optimizer):
            self._change, self.asleep, self.deaf = True, 0, False
        elif self._without_lead >= WITHOUT_LEAD and self._without_lead % self.cadence.every == 0:
            self._woken, self.asleep, self.deaf = self.asleep, 0, False  # the lead may never step again

    def _timed(self, due: Due, look: Look, call: Callable[[], Any], ends: bool = False) -> Any:
        began = time.perf_counter()
        try:
            return call()
        finally:
            spent = time.perf_counter() - began
            self._looked += spent
            due.pending += spent
            if ends:
                self.meter.add("activations", look.seconds)  # in hooks that nobody else times
                self._looked += look.seconds
                due.pending, look.seconds = due.pending + look.seconds, 0.0
                due.note(self.step)

    def _other_stepped(self, optimizer: Optimizer) -> None:
        """An optimizer beside the lead: its own loss and rate; after many steps without the lead, it leads."""
        if id(optimizer) not in self._others:
            name = f"{type(optimizer).__name__} {len(self._others) + 2}"
            loss, rate = self.store.series(f"loss of {name}", "other"), self.store.series(f"rate of {name}", "other")
            self._others[id(optimizer)] = (optimizer, loss, rate)
        _, loss, rate = self._others[id(optimizer)]
        self.beside += 1
        losses, at, moment = self._losses.of_now(), self.step, time.perf_counter() - self._began
        self._losses.clear()
        value = _rate(optimizer)
        known = [each for each in losses if not isinstance(each, torch.Tensor)]

        def deliver(figures: list[float]) -> None:
            found = [mean_of([*known, *figures])] if losses else []
            self.store.add(at, moment, [rate, loss][: 1 + len(found)], [value, *found])

        self._transfer.send([each for each in losses if isinstance(each, torch.Tensor)], deliver)
        self._without_lead += 1
        self.asleep, self._woken = max(self.asleep, self._woken), 0
        if self._without_lead < WITHOUT_LEAD or self.optimizers:
            return
        if self._is_next(optimizer):
            self._change = True
        elif optimizer in self.known.late or not self.known.complete:  # what was built beside the lead trains beside it
            self._without_lead = self.asleep = 0
            self.store.event(self.step, "another optimizer", name=type(optimizer).__name__)
            self._begin(optimizer)
            self._prepare()

    def _is_next(self, optimizer: Optimizer) -> bool:
        """Whether it belongs to another training, after this one; it may also train on what the lead has trained."""
        return self.on_change is not None and self.step >= WITHOUT_LEAD and self._is_anew(optimizer) is False

    def _replaces(self, optimizer: Optimizer) -> bool:
        """Whether it was built anew for what the lead has trained; it leads from now on."""
        if not self.known.late or not self._is_anew(optimizer):
            return False
        self.lead = optimizer
        return True

    def _is_anew(self, optimizer: Optimizer) -> bool | None:
        """Of one that was built while something trained, whether that is what it holds; None of any other."""
        late = self.known.late
        if optimizer not in late:
            return None
        if late[optimizer] is None:
            assert self.lead is not None
            before = {id(each) for group in self.lead.param_groups for each in group["params"]}
            now = [id(each) in before for group in optimizer.param_groups for each in group["params"]]
            late[optimizer] = 2 * sum(now) > max(len(now), len(before))
        return late[optimizer]

    def flush(self) -> None:
        """Make everything until now last."""
        self._shield(self._send_losses)
        self._shield(self._send_evaluations)
        self._shield(lambda: self._transfer.collect(wait=True))
        self._shield(self.store.flush)

    # the end

    def close(self, outcome: str, error: BaseException | None = None) -> None:
        """Write what is still to be written; once."""
        if self.closed or os.getpid() != self._pid:
            return
        self.closed = True
        self._shield(self._send_losses)
        self._shield(self._send_evaluations)
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
    groups = optimizer.param_groups
    if len(groups) == 1 and type(rate := groups[0].get("lr", 0.0)) is float:
        return rate  # in every step: half a microsecond, and not three
    rates = [group.get("lr", 0.0) for group in groups]
    plain = [float(each) for each in rates if not isinstance(each, torch.Tensor) or each.device.type == "cpu"]
    return max(plain, default=math.nan)


def _batch_size(inputs: tuple[Any, ...]) -> int:
    first = next((each for each in inputs if isinstance(each, torch.Tensor) and each.dim()), None)
    return int(first.shape[0]) if first is not None else 0
