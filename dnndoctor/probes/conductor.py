"""Who acts when: first watch, then sweep, then throughput, then on to evaluation and one more step, and stop.

The conductor sits at the borders (a step, a batch asked for, a backward) and is the only one that acts there. What
the user's loop would have done is done again afterwards: a probe starts from a snapshot and ends by restoring one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import torch

from dnndoctor.observe.loaders import LoaderFacts, ServedIterator
from dnndoctor.observe.watch import Watch
from dnndoctor.probes.batch_size import BatchSizeProbe
from dnndoctor.probes.learning_rate import LearningRateProbe, RateSetter
from dnndoctor.probes.snapshot import Snapshot

EVALUATION_BATCHES = 4
FURTHER_STEPS = 3
SWEEP_SHARE = 0.45  # of the time that is left
BATCH_SHARE = 0.3
MOST_ENCORES = 10
ENCORE_SHARE = 0.25  # of the time that was left as the script ended
ENCORE_SECONDS = 10.0
UNTIL_EVALUATION = 2.0  # seconds to run on, unwatched, for an evaluation to come by


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
        self._over = False  # the sweep has all that it wanted
        self._between_steps = False  # it began as a batch was asked for

    # borders

    @property
    def probing(self) -> bool:
        """Whether the loop's steps are trials now."""
        return self._probe is not None

    @property
    def lead(self) -> torch.optim.Optimizer | None:
        """The optimizer whose steps are counted: the first that made one."""
        if self._encore_lead is not None:
            return self._encore_lead
        return self.watch.optimizers[0].optimizer if self.watch.optimizers else None

    def before_step(self, optimizer: torch.optim.Optimizer) -> None:
        """An optimizer is about to step."""
        self._settle()
        if "start" not in self.phases:
            self._note_first_step()
        if self._encores and self._start is None:
            self._open_encore(optimizer)
        elif self._start is None and self._probes and "learning-rate" not in self.phases:
            self._start = self._snapshot(extra=[optimizer])
        if self.probing and self._setter and self._probe:
            self._setter.set(optimizer, self._probe.rate)
        elif self.watch.observing:
            self.watch.before_step(optimizer)

    def after_step(self, optimizer: torch.optim.Optimizer) -> None:
        """An optimizer has stepped."""
        if self.probing and self._setter:
            self._setter.put_back(optimizer)
            if optimizer is self.lead:
                self._after_trial_step()
        elif self.watch.observing:
            if self.phase == "evaluate" and optimizer is self.lead:
                self._further += self._evaluated
            self.watch.after_step(optimizer)
            if optimizer is self.lead:
                self._report(self.phase, min(self.watch.step, self._steps), self._steps)
                self._after_own_step()
        self._look_at_the_clock()

    def stop_if_failed(self) -> None:
        """Nothing more is to be seen once the watch has broken."""
        if self.watch.failure is not None:
            self._probe = None
            raise Stop("failed")

    def on_backward(self, values: list[torch.Tensor]) -> None:
        """Backward runs on these losses."""
        (self._losses if self.probing else self.watch.losses).extend(values)

    def serve(self, iterator: ServedIterator) -> Any:
        """The next batch for the user's loop."""
        facts = iterator.facts
        self._settle()
        if self.probing:
            return self._serve_in_trial(iterator)
        if iterator.exhausted:
            raise StopIteration
        if self.phase == "evaluate":
            self._limit(iterator)
        try:
            batch = self.watch.loaders.fetch(facts, iterator.inner)
        except StopIteration:
            iterator.exhausted = True
            self.watch.loaders.current = None
            if facts in self._training_loaders() and self._may_probe(at_epoch_end=True):
                self._begin_probes()
                if self.probing:
                    self._between_steps = True
                    return self._serve_in_trial(iterator)
            raise
        if self._probes and self.phase == "observe":
            facts.keep(batch)
        return batch

    def note_evaluation(self) -> None:
        """A pass without gradients began while waiting for one."""
        if self.phase == "evaluate":
            self._evaluated = True

    def finish(self) -> None:
        """The script is over, whichever way: measure what can be measured without it."""
        self._settle()
        if self._probe is not None:
            self._unfinished, self._probe = self._probe, None
            if self._before is not None:
                self._before.restore()
        elif self._may_probe(at_epoch_end=True) and self._no_sweep() is None:
            facts = self.watch.optimizers[0]
            self._unfinished = LearningRateProbe(facts.peak_rate, type(facts.optimizer).__name__, self._step_budget())
        if self._probes and self.watch.step and "batch-size" not in self.phases:
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

    # the order of things

    def _after_own_step(self) -> None:
        if self.phase == "observe":
            broken = self.watch.non_finite and self.watch.step >= 3
            if self.watch.step >= self._steps or broken:
                if self._may_probe(at_epoch_end=False):
                    self._begin_probes()
                elif "learning-rate" in self.phases or not self._probes:
                    self._look_for_evaluation()
        elif self.phase == "evaluate" and (self._further >= FURTHER_STEPS or self._waited_enough()):
            self._stop()

    def _may_probe(self, at_epoch_end: bool) -> bool:
        done = "learning-rate" in self.phases
        return self._probes and not done and self.phase == "observe" and (self.watch.step >= 2 or not at_epoch_end)

    def _begin_probes(self) -> None:
        watch = self.watch
        watch.flush()
        self._enter("learning-rate")
        facts = watch.optimizers[0]
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
        self._before = self._snapshot()
        self._setter = RateSetter(facts.optimizer)
        rate = facts.peak_rate
        self._probe = LearningRateProbe(rate, type(facts.optimizer).__name__, budget)
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
        if facts.peak_rate <= 0:
            return f"{type(facts.optimizer).__name__} has no learning rate above zero in the watched steps"
        if facts.closure or type(facts.optimizer).__name__ == "LBFGS":
            return "the optimizer's step takes a closure and searches its own step length"
        if len(self.watch.optimizers) > 1 and facts.backwards_total >= 2 * facts.steps:
            return "several optimizers with losses of their own train against each other"
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
        loss = sum(float(each) for each in self._losses) if self._losses else math.nan
        self._losses.clear()
        now = time.perf_counter()
        self._trial_seconds.append(now - self._last_trial_step)
        self._last_trial_step = now
        rate, number = self._probe.rate, self._probe.taken
        self.watch.writer.put("trial", {"probe": "learning-rate", "setting": rate, "step": number, "loss": loss})
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
        self.watch.resume()

    def _write_sweep(self, probe: LearningRateProbe) -> None:
        facts = probe.facts(paired=bool(self._trainers) or self.watch.same_batch_again)
        missing = "the script ended before one round of rates was through"
        self.watch.writer.put("probe", {"name": "learning-rate", "facts": facts or {"missing": missing}})

    def _after_sweep(self) -> None:
        self._measure_batch_sizes()
        self._start = None
        if self.watch.step >= self._steps or self.watch.non_finite:
            self._look_for_evaluation()
        else:
            self._mode(active=True)
            self._enter("observe")

    def _measure_batch_sizes(self) -> None:
        watch = self.watch
        self._enter("batch-size")
        calls = {m: c for m, c in watch.root_inputs.items() if watch.modules.top(m) is m} or dict(watch.root_inputs)
        size = watch.typical_batch()
        left = self._deadline - time.monotonic()
        if not calls or not size or left < 1:
            reason = "no model call with a batch was seen" if left >= 1 else "the time was up"
            watch.writer.put("probe", {"name": "batch-size", "facts": {"missing": reason}})
            return
        seconds = self._unwatched_step()
        probe = BatchSizeProbe(calls, size, seconds, watch.accumulation())
        keep, observing = self._snapshot(), watch.observing
        watch.observing = False
        self._mode(active=False)
        failure = None
        try:
            probe.run(min(left * BATCH_SHARE, max(1.5, 60 * seconds)))
        except Exception as why:  # noqa: BLE001 - the model's own refusal of a size; it is told as the reason
            failure = f"the model takes no other batch size: {type(why).__name__}"
        keep.restore()
        watch.observing = observing
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
        return next(iterator.inner)

    def _training_loaders(self) -> list[LoaderFacts]:
        return [each for each in self.watch.loaders.all if each.steps > 0]

    def _snapshot(self, extra: list[torch.optim.Optimizer] | None = None) -> Snapshot:
        watch = self.watch
        optimizers = [each.optimizer for each in watch.optimizers]
        optimizers += [each for each in extra or [] if each not in optimizers]
        if extra is not None:
            optimizers += [each for each in watch.optimizer_built if each not in optimizers]
        roots = {id(m): m for m in (*watch.modules.tops, *watch.root_inputs)}
        return Snapshot(roots.values(), optimizers, [*watch.schedulers, *watch.scalers])

    def _mode(self, active: bool) -> None:
        self.watch.forward.active = active and self.watch.deep and self.watch.observing

    def _enter(self, phase: str) -> None:
        now = time.monotonic()
        self.phases[self.phase] = self.phases.get(self.phase, 0.0) + now - self._phase_began
        self.phase, self._phase_began = phase, now
        self.phases.setdefault(phase, 0.0)
        self._report(phase, 0, 0)

    def _look_at_the_clock(self) -> None:
        if time.monotonic() > self._deadline:
            self.stopping = "budget"
            raise Stop("budget")

    def _stop(self) -> None:
        self.stopping = "stopped"
        raise Stop("stopped")


def _median(watch: Watch) -> float:
    seconds = sorted(watch.step_seconds[1:] or watch.step_seconds)
    return seconds[len(seconds) // 2] if seconds else 0.0
