"""Who acts when: first watch, then sweep, then throughput, then on to evaluation and one more step, and stop.

The conductor sits at the borders (a step, a batch asked for, a backward) and is the only one that acts there. What
the user's loop would have done is done again afterwards: a probe starts from a snapshot and ends by restoring one.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Any, NoReturn, Protocol

import torch

from dnndoctor.observe.by_hand import is_look, is_update
from dnndoctor.observe.loaders import LoaderFacts, ServedIterator
from dnndoctor.observe.source import caller
from dnndoctor.observe.steps import OptimizerFacts
from dnndoctor.observe.watch import STEPS_WITHOUT_LEAD, Watch
from dnndoctor.probes.batch_size import BatchSizeProbe
from dnndoctor.probes.learning_rate import LearningRateProbe, RateSetter
from dnndoctor.probes.snapshot import Snapshot

EVALUATION_BATCHES = 4
FURTHER_STEPS = 3
QUICK_START = 10.0  # seconds to the first step; such a script is rather run again than swept before it was watched
MOST_LEADS = 2  # that are swept
LONG_STEP = 1.0  # seconds: one that would end after the deadline is not begun
OBSERVE_SHARE = 0.4  # of the time that is left as the first step is made
FEWEST_STEPS = 3
SWEEP_SHARE = 0.45  # of the time that is left
BATCH_SHARE = 0.3
MOST_ENCORES = 10
ENCORE_SHARE = 0.25  # of the time that was left as the script ended
ENCORE_SECONDS = 10.0
UNTIL_EVALUATION = 2.0  # seconds to run on, unwatched, for an evaluation to come by


class Hooks(Protocol):
    """Hooks that can be hung up and taken down."""

    def on(self) -> None:
        """Hang them up."""

    def remove(self) -> None:
        """Take them down."""


class Stop(BaseException):
    """Ends the user's script; no ``except Exception`` of theirs holds it up."""


class Conductor:
    """The state of one examination."""

    def __init__(
        self,
        watch: Watch,
        *,
        steps: int,
        probes: bool,
        deadline: float,
        report: Callable[[str, int, int], None],
    ) -> None:
        self.watch = watch
        self.phase = "observe"
        self.cut = False  # the user's epoch was ended early: what their script does now is no longer theirs
        self.stopping: str | None = None  # how we are ending the script
        self.phases: dict[str, float] = {}
        self._steps = steps
        self._probes = probes
        self._deadline = deadline
        self._report = report
        self._start: Snapshot | None = None
        self._before: Snapshot | None = None
        self._probe: LearningRateProbe | None = None
        self._setter: RateSetter | None = None
        self._losses: list[torch.Tensor] = []
        self._began = time.monotonic()
        self._phase_began = time.monotonic()
        self._trainers: list[LoaderFacts] = []
        self._trial_seconds: list[float] = []
        self._unfinished: LearningRateProbe | None = None
        self._encores = 0
        self._encore_lead: torch.optim.Optimizer | None = None
        self._ended = 0.0
        self._last_trial_step = 0.0
        self._evaluated = False
        self._further = 0
        self._target = steps  # grows where another model is trained later on
        self._kinds: set[Any] = set()  # of optimizer and parameters that were swept
        self._swept = False
        self._alone = 0  # steps of other optimizers since the lead's last one
        self._over = False  # the sweep has all that it wanted
        self._between_steps = False  # it began as a batch was asked for
        self.leave: Callable[[str], NoReturn] | None = None  # ends the process, where raising cannot
        self.module_hooks: Hooks | None = None  # taken down while no module call is of interest
        self.leaves_at_once = False  # in a process whose launcher would swallow what is raised
        self._only: str | None = None  # why nothing but watching is possible
        self._main = threading.get_ident()

    # borders

    @property
    def probing(self) -> bool:
        """Whether the loop's steps are trials now."""
        return self._probe is not None

    @property
    def wants_pass(self) -> bool:
        """Whether a module's call is of interest although nobody observes."""
        return self.probing and (self.watch.passes_in_trials > 0 or self.watch.by_hand.pending)

    @property
    def lead(self) -> torch.optim.Optimizer | None:
        """The optimizer whose steps are counted: the first that made one."""
        if self._encore_lead is not None:
            return self._encore_lead
        return self.watch.optimizers[0].optimizer if self.watch.optimizers else None

    def open_step(self, optimizer: torch.optim.Optimizer) -> None:
        """An optimizer's step begins; a closure of its own is yet to be evaluated."""
        self._still_stopped()
        self._settle()
        if "start" not in self.phases:
            self._note_first_step()
        if self._encores and self._start is None:
            self._open_encore(optimizer)
        elif self._start is None and self._probes and self._only is None and not self._swept:
            self._start = self._snapshot(extra=[optimizer])
        if self.probing and self._setter and self._probe:
            self._setter.set(optimizer, self._probe.rate)

    def before_step(self, optimizer: torch.optim.Optimizer) -> None:
        """The gradients are there, and the optimizer is about to use them."""
        if not self.probing and self.watch.observing:
            self.watch.before_step(optimizer)

    def after_step(self, optimizer: torch.optim.Optimizer) -> None:
        """An optimizer has stepped."""
        if self.probing and self._setter:
            self._setter.put_back(optimizer)
            if optimizer is self.lead:
                self._after_trial_step()
            else:
                self._count_alone()
        elif self.watch.observing:
            lead = self.lead
            self.watch.after_step(optimizer)
            if optimizer is self.lead:
                self._after_lead_step(promoted=lead is not optimizer and lead is not None)
        self._look_at_the_clock()

    def _count_alone(self) -> None:
        """In a trial another optimizer steps: with the lead, or because the lead's training is over."""
        self._alone += 1
        if self._alone > STEPS_WITHOUT_LEAD and self._probe is not None and not self._encores:
            self._probe.stop()
            self._end_sweep()
            self._after_sweep()

    def _after_lead_step(self, promoted: bool) -> None:
        if self.phase == "evaluate":
            self._further += self._evaluated
        if promoted:
            self._begin_anew()
        self._report(self.phase, min(self.watch.step, self._target), self._target)
        self._after_own_step()

    def _begin_anew(self) -> None:
        """Another optimizer leads: another part or model is trained now, and is watched for as long as the first."""
        self._target = max(self._target, self.watch.step + self._steps)
        kind = _kind(self.watch.optimizers[0])
        if kind in self._kinds or len(self._kinds) >= MOST_LEADS:
            return
        self._kinds.add(kind)
        if self._probes and self._only is None and self.phase != "evaluate":
            self._swept = False
            self._start = self._snapshot()

    def stop_if_failed(self) -> None:
        """Nothing more is to be seen once the watch has broken."""
        if self.watch.failure is not None:
            self._probe = None
            self._stop("failed")

    def on_backward(self, values: list[torch.Tensor]) -> None:
        """Backward runs on these losses."""
        if self.watch.by_hand.pending:
            self.begin_pass()
        self._look_at_the_clock()
        (self._losses if self.probing else self.watch.losses).extend(values)

    def after_backward(self, roots: list[torch.Tensor]) -> None:
        """Backward has run on ``roots``."""
        self.watch.after_backward()
        if self.watch.may_be_by_hand:
            self._await_update(None, roots)

    def after_gradients(
        self, value: torch.Tensor | None, inputs: list[torch.Tensor], gradients: list[torch.Tensor | None]
    ) -> None:
        """Gradients of ``value`` were handed out where no optimizer steps: perhaps for an update by hand."""
        pairs = {p: g for p, g in zip(inputs, gradients, strict=True) if g is not None}
        if len(pairs) < len(inputs):
            return
        hand = self.watch.by_hand
        if hand.replaces(inputs):
            hand.take_over(inputs)
            self.begin_pass()
        if value is not None:
            self.on_backward([value.detach()])
            self.watch.before_backward([value])
        self.watch.after_backward()
        self._await_update(pairs, [])
        hand.forward = self.watch.forward.put_aside()

    def _await_update(self, gradients: dict[torch.Tensor, torch.Tensor] | None, roots: list[torch.Tensor]) -> None:
        hand = self.watch.by_hand
        hand.note(gradients, roots)
        if not hand.pending:
            return
        assert hand.optimizer is not None
        wanted = self._probes and self._only is None and (not self._swept or self._encores > 0)
        if self._start is None and wanted:
            self._start = self._snapshot(extra=[hand.optimizer])
        if self.probing:
            hand.keep()
        self.watch.forward.before_use = self._watch_use
        self._mode(active=True)

    def _watch_use(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        """Until the parameters are used again: where they are updated, and when."""
        watch, hand = self.watch, self.watch.by_hand
        used = hand.touched(args)
        if used is None or watch.inside_backward or threading.get_ident() != watch.thread:
            return
        watch.forward.before_use = None
        try:
            if is_update(function):
                hand.location = hand.location or caller()
            elif torch.is_grad_enabled() and not is_look(function):
                self.begin_pass()
        except Exception as bug:  # noqa: BLE001 - it is told in the report
            watch.fail(bug)
        if hand.pending:
            watch.forward.before_use = self._watch_use

    def begin_pass(self) -> None:
        """A forward pass with gradients begins; an update by hand, if there was one, lies behind."""
        self._still_stopped()
        watch, hand = self.watch, self.watch.by_hand
        if not hand.pending:
            return
        watch.forward.before_use = None
        if not hand.changed():
            return  # gradients pile up, or nobody trains
        assert hand.optimizer is not None
        if "start" not in self.phases:
            self._note_first_step()
        if self.probing and self._probe is not None:
            hand.scale(self._probe.rate / hand.rate)
            self._after_trial_step()
        elif watch.observing:
            hand.measure_rate()
            watch.step_by_hand()
            self._after_lead_step(promoted=False)
        self._look_at_the_clock()

    def adopt_thread(self) -> bool:
        """Training goes on in this thread, and not in the one that we started in."""
        watch = self.watch
        if watch.step or watch.backward_seen or watch.stack or self.probing:
            return False
        watch.thread = threading.get_ident()
        watch.forward.__enter__()
        return True

    def serve(self, iterator: ServedIterator) -> Any:
        """The next batch for the user's loop."""
        self._still_stopped()
        facts = iterator.facts
        if threading.get_ident() != self.watch.thread:
            return next(iterator.inner)
        if self.watch.by_hand.pending and not iterator.exhausted:
            self.begin_pass()
        self._settle()
        self._look_at_the_clock()
        if self.probing:
            return self._serve_in_trial(iterator)
        if iterator.exhausted:
            raise StopIteration
        if self.phase == "evaluate":
            self._limit(iterator)
        if not iterator.served:
            iterator.backwards_before = self.watch.backwards
        try:
            batch = self.watch.loaders.fetch(facts, iterator.inner)
        except StopIteration:
            iterator.exhausted = facts.ended = True
            self.watch.loaders.current = None
            # A batch that a library drew ahead is the user's own, and still to be trained on.
            ahead = iterator.served > self.watch.backwards - iterator.backwards_before
            if facts in self._training_loaders() and not ahead and self._may_probe(at_epoch_end=True):
                self._begin_probes()
                if self.probing:
                    self._between_steps = True
                    return self._serve_in_trial(iterator)
            raise
        if self._probes and self.phase == "observe":
            facts.keep(batch)
        return batch

    def note_evaluation(self) -> None:
        """A pass without gradients began, perhaps while waiting for one."""
        self._still_stopped()
        self._look_at_the_clock()
        if self.phase == "evaluate":
            self._evaluated = True

    def finish(self) -> None:
        """The script is over, whichever way: measure what can be measured without it."""
        self._settle()
        if self._probe is not None:
            self._unfinished, self._probe = self._probe, None
            if self._before is not None:
                self._before.restore()
        elif self._may_probe(at_epoch_end=False) and (reason := self._no_sweep()) is not None:
            self.watch.writer.put("probe", {"name": "learning-rate", "facts": {"missing": reason}})
        elif self._may_probe(at_epoch_end=False):
            facts = self.watch.optimizers[0]
            self._unfinished = LearningRateProbe(facts.peak_rate, facts.name, self._step_budget())
        if self._probes and self._only is None and self.watch.step and "batch-size" not in self.phases:
            self._measure_batch_sizes()
        self._ended = time.monotonic()
        self._enter("finish")

    @property
    def wants_encore(self) -> bool:
        """The script is over and the sweep is not: it may run once more for the rest of it, if that is quick."""
        now = time.monotonic()
        quick = now - self._ended <= min(ENCORE_SHARE * (self._deadline - self._ended), ENCORE_SECONDS)
        room = self._deadline - now > 2 * self.phases.get("start", 0.0)
        return self._unfinished is not None and self._encores < MOST_ENCORES and quick and room

    def begin_encore(self) -> None:
        """The script starts anew; its steps are trials from the first on."""
        assert self._unfinished is not None
        self._encores += 1
        self._probe = self._unfinished
        self._probe.restart_trial()
        self._start = self._before = self._setter = self._encore_lead = None
        self._hang_module_hooks()
        self.watch.by_hand = self.watch.by_hand.again()
        self.watch.observing = False
        self._enter("learning-rate")

    def end_encores(self) -> None:
        """No more runs: write down what the sweep came to."""
        probe, self._unfinished, self._probe = self._unfinished, None, None
        if probe is not None:
            probe.stop()
            self._write_sweep(probe)
        self._enter("finish")

    def _open_encore(self, optimizer: torch.optim.Optimizer) -> None:
        self._encore_lead = optimizer
        self.watch.modules.index()
        self._start = self._snapshot(extra=[optimizer])
        self._setter = RateSetter(optimizer)
        self._losses[:-1] = []  # what backward was called on before the first step is its own, the last

    def _note_first_step(self) -> None:
        now = time.monotonic()
        self.phases["start"] = now - self._began
        self._phase_began = now

    def watch_only(self, reason: str) -> None:
        """Try nothing and cut nothing short: others wait for this process at every step."""
        self._only = reason
        self._start = None

    # the order of things

    def _after_own_step(self) -> None:
        if self.phase == "observe":
            broken = self.watch.non_finite and self.watch.step >= 3
            if self.watch.step >= self._target or broken or self._observed_long_enough():
                if self._only is not None:
                    self._end_watching(self._only)
                if self._may_probe(at_epoch_end=False):
                    self._begin_probes()
                elif self._swept or not self._probes:
                    self._look_for_evaluation()
        elif self.phase == "evaluate" and (self._further >= FURTHER_STEPS or self._waited_enough()):
            self._stop()

    def _end_watching(self, reason: str) -> NoReturn:
        for name in ("learning-rate", "batch-size"):
            self.watch.writer.put("probe", {"name": name, "facts": {"missing": reason}})
        self._enter("evaluate")
        self._stop()

    def _observed_long_enough(self) -> bool:
        """Steps of seconds each: what is left of the time goes to the probes and the evaluation."""
        share = (time.monotonic() - self._phase_began) / max(self._deadline - self._phase_began, 1e-3)
        return share > OBSERVE_SHARE and self.watch.step >= FEWEST_STEPS

    def _may_probe(self, at_epoch_end: bool) -> bool:
        wanted = self._probes and self._only is None and not self._swept and self.phase == "observe"
        slow = self.phases.get("start", 0.0) > QUICK_START
        return wanted and (not at_epoch_end or (slow and self.watch.step >= 2))

    def _begin_probes(self) -> None:
        watch = self.watch
        watch.forward.active = False  # at the end of an epoch it is on, and would see the snapshot being taken
        watch.flush()
        self._swept = True
        self._enter("learning-rate")
        facts = watch.optimizers[0]
        self._kinds.add(_kind(facts))
        watch.writer.clear("trial", probe="learning-rate")
        reason = self._no_sweep()
        if reason or self._start is None:
            watch.writer.put("probe", {"name": "learning-rate", "facts": {"missing": reason}})
            self._after_sweep()
            return
        budget = self._step_budget()
        if budget < 60:
            reason = f"a step takes {_median(watch):.1f} s; the time budget has no room for a sweep"
            watch.writer.put("probe", {"name": "learning-rate", "facts": {"missing": reason}})
            self._after_sweep()
            return
        self._before = self._snapshot(take=True)
        self._setter = RateSetter(facts.optimizer)
        rate = facts.peak_rate
        self._probe = LearningRateProbe(rate, facts.name, budget)
        self._trainers = self._training_loaders()
        watch.observing = False
        self._mode(active=False)
        self._begin_trial()

    def _step_budget(self) -> int:
        """Steps that the sweep may take in its share of the time left."""
        left = max(self._deadline - time.monotonic(), 0.0)
        return int(left * SWEEP_SHARE / max(_median(self.watch), 1e-5))

    def _no_sweep(self) -> str | None:
        facts = self.watch.optimizers[0]
        if facts.by_hand and not self.watch.by_hand.plain:
            return "the updates are made by hand, and are not the gradient times one learning rate"
        if facts.peak_rate <= 0:
            return f"{type(facts.optimizer).__name__} has no learning rate above zero in the watched steps"
        if facts.evaluations > 1 or isinstance(facts.optimizer, torch.optim.LBFGS):
            return "the optimizer evaluates a closure several times in a step and searches its own step length"
        if len(self.watch.optimizers) > 1 and facts.backwards_total >= 2 * facts.steps:
            return "several optimizers take turns, each with a loss of its own: no one loss says which rate is better"
        if not self.watch.backward_seen:
            return "no loss was seen: nothing calls backward"
        return None

    def _begin_trial(self) -> None:
        assert self._start is not None
        self._start.begin_trial()
        self._losses.clear()
        for each in self._trainers:
            each.position = 0

    def _after_trial_step(self) -> None:
        assert self._probe is not None
        self._alone = 0
        loss = sum(float(each) for each in self._losses) if self._losses else math.nan
        self._losses.clear()
        now = time.perf_counter()
        self._trial_seconds.append(now - self._last_trial_step)
        self._last_trial_step = now
        rate, number = self._probe.rate, self._probe.taken
        self.watch.writer.put("trial", {"probe": "learning-rate", "setting": rate, "step": number, "loss": loss})
        self.watch.passes.step()
        if not self.wants_pass and self.module_hooks is not None and not self.watch.by_hand.confirmed:
            self.module_hooks.remove()
        verdict = self._probe.after_step(loss)
        self._report("learning-rate", self._probe.taken, self._probe.planned)
        if verdict == "next":
            self._begin_trial()
        elif verdict == "done" or time.monotonic() > self._deadline - 2:
            if verdict != "done":
                self._probe.stop()
            if self._encores:
                self._stop()
            self._over = True
            if not self._between_steps:
                self._settle()

    def _settle(self) -> None:
        """End a sweep that is over, at the same point of the user's loop as it began at.

        One that began as a batch was asked for must not end within a step: a scheduler that is stepped after the
        optimizer would take one step more than in a bare run.
        """
        if self._over:
            self._over = self._between_steps = False
            self._end_sweep()
            self._after_sweep()

    def _end_sweep(self) -> None:
        probe, self._probe = self._probe, None
        if probe is None or self._before is None:
            return
        self._before.restore()
        self._before = None
        self._write_sweep(probe)
        self.watch.losses.clear()
        self.watch.observing = True
        self._hang_module_hooks()
        self.watch.resume()

    def _write_sweep(self, probe: LearningRateProbe) -> None:
        facts = probe.facts(paired=bool(self._trainers) or self.watch.same_batch_again)
        missing = "no full round of rates was tried before the end"
        self.watch.writer.put("probe", {"name": "learning-rate", "facts": facts or {"missing": missing}})

    def _after_sweep(self) -> None:
        self._start = None
        self._measure_batch_sizes()
        if self.watch.step >= self._target or self.watch.non_finite:
            self._look_for_evaluation()
        else:
            self._mode(active=True)
            self._enter("observe")

    def _measure_batch_sizes(self) -> None:
        watch = self.watch
        self._enter("batch-size")
        every = list(watch.root_inputs.items())
        calls = [(m, c) for m, c in every if watch.modules.top(m) is m] or every
        size = watch.typical_batch()
        left = self._deadline - time.monotonic()
        if not calls or not size or left < 1:
            reason = "no model call with a batch was seen" if left >= 1 else "the time was up"
            watch.writer.put("probe", {"name": "batch-size", "facts": {"missing": reason}})
            return
        seconds = self._unwatched_step()
        probe = BatchSizeProbe(calls, size, seconds, watch.accumulation(), watch.forward.output_bytes())
        keep, observing = self._snapshot(take=True, buffers_only=True), watch.observing
        watch.observing = False
        watch.inside_backward = True  # the probe's own backward is none of the loop's
        self._mode(active=False)
        failure = None
        try:
            probe.run(min(left * BATCH_SHARE, max(1.5, 60 * seconds)))
        except Exception as why:  # noqa: BLE001 - the model's own refusal of a size; it is told as the reason
            failure = f"the model takes no other batch size: {type(why).__name__}"
        keep.restore()
        watch.observing, watch.inside_backward = observing, False
        for p in probe.points:
            row = {"batch_size": p.size, "repeat": p.repeat, "samples_per_second": p.samples_per_second}
            watch.writer.put("throughput", {**row, "peak_bytes": p.peak})
        facts: dict[str, Any] = {"user_size": size, "stopped": probe.stopped}
        if failure and len({p.size for p in probe.points}) < 3:
            facts["missing"] = failure
        watch.writer.put("probe", {"name": "batch-size", "facts": facts})
        watch.writer.commit()

    def _unwatched_step(self) -> float:
        """Seconds of a step with the watch off, as the sweep's trials had it; watched ones take longer."""
        timed = sorted(self._trial_seconds[1:])
        return timed[len(timed) // 2] if len(timed) >= 10 else _median(self.watch)

    def _look_for_evaluation(self) -> None:
        self._enter("evaluate")
        self.watch.begin_shallow()
        self._mode(active=False)
        self._hang_module_hooks()
        self._evaluated = any(not g.gradients for g in self.watch.passes.groups.values())
        for each in self._training_loaders():
            each.position = -1  # the epoch ends at its next batch

    def _limit(self, iterator: ServedIterator) -> None:
        """Epochs of a few steps and evaluations of a few batches: on to what the script does after them."""
        facts = iterator.facts
        training = facts in self._training_loaders()
        if training and (facts.position == -1 or iterator.served >= FURTHER_STEPS):
            facts.position = 0
            self.watch.loaders.current = None
            iterator.exhausted = self.cut = True
            raise StopIteration
        if not training and iterator.served >= EVALUATION_BATCHES:
            iterator.exhausted = self.cut = True
            raise StopIteration

    def _waited_enough(self) -> bool:
        waited = time.monotonic() - self._phase_began
        return waited > min(UNTIL_EVALUATION, max(0.5 * (self._phase_began - self._began), 0.5))

    def _serve_in_trial(self, iterator: ServedIterator) -> Any:
        facts = iterator.facts
        if facts.kept and facts in self._trainers:
            self.watch.loaders.current = facts
            return facts.replay()
        if iterator.exhausted or (iterator.served >= EVALUATION_BATCHES and not self._encores):
            raise StopIteration
        return self.watch.loaders.fetch(facts, iterator.inner)

    def _training_loaders(self) -> list[LoaderFacts]:
        return [each for each in self.watch.loaders.all if each.steps > 0]

    def _snapshot(
        self, extra: list[torch.optim.Optimizer] | None = None, *, take: bool = False, buffers_only: bool = False
    ) -> Snapshot:
        """``extra``: the start of the trials, whose gradients nobody needs."""
        watch = self.watch
        optimizers = [each.optimizer for each in watch.optimizers]
        known = set(map(id, optimizers))
        optimizers += [each for each in extra or [] if id(each) not in known]
        if extra is not None:
            known = set(map(id, optimizers))
            optimizers += [each for each in watch.optimizer_built if id(each) not in known]
        roots = {id(m): m for m in (*watch.modules.tops, *watch.root_inputs)}
        return Snapshot(
            roots.values(),
            optimizers,
            [*watch.schedulers, *watch.scalers],
            gradients=extra is None,
            take=take,
            buffers_only=buffers_only,
        )

    def _mode(self, active: bool) -> None:
        forward = self.watch.forward
        if active and self.watch.deep and self.watch.observing:
            forward.engage()
        elif forward.before_use is None:
            forward.release()
        else:
            forward.active = False

    def _hang_module_hooks(self) -> None:
        if self.module_hooks is not None:
            self.module_hooks.on()

    def _enter(self, phase: str) -> None:
        now = time.monotonic()
        self.phases[self.phase] = self.phases.get(self.phase, 0.0) + now - self._phase_began
        self.phase, self._phase_began = phase, now
        self.phases.setdefault(phase, 0.0)
        self._report(phase, 0, 0)

    def _look_at_the_clock(self) -> None:
        seconds = self.watch.step_seconds[-1] if self.watch.step_seconds else 0.0
        if time.monotonic() + (seconds if seconds > LONG_STEP else 0.0) > self._deadline:
            self._stop("budget")

    def _still_stopped(self) -> None:
        """The script swallowed what was to end it, or runs its last words: it has had its say."""
        if self.stopping is not None:
            self._stop(self.stopping)

    def _stop(self, kind: str = "stopped") -> NoReturn:
        swallowed, self.stopping = self.stopping is not None, kind
        elsewhere = self.leaves_at_once or threading.get_ident() != self._main
        if self.leave is not None and (swallowed or elsewhere):
            self.leave(kind)
        raise Stop(kind)


def _kind(facts: OptimizerFacts) -> tuple[Any, ...]:
    """Folds of a cross-validation are of one kind: one sweep will do for all."""
    return (facts.name, *(tuple(each.shape) for each in facts.parameters()))


def _median(watch: Watch) -> float:
    seconds = sorted(watch.step_seconds[1:] or watch.step_seconds)
    return seconds[len(seconds) // 2] if seconds else 0.0
