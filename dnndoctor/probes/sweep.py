"""The learning-rate probe inside the user's loop: trials, what they begin from, and everything as it was afterwards."""

from __future__ import annotations

import math
import time
from typing import Any

import torch

from dnndoctor.observe.loaders import LoaderFacts, ServedIterator
from dnndoctor.observe.steps import OptimizerFacts
from dnndoctor.observe.watch import STEPS_WITHOUT_LEAD, Watch
from dnndoctor.probes.clock import Clock
from dnndoctor.probes.learning_rate import LearningRateProbe, RateSetter
from dnndoctor.probes.snapshot import Snapshot, of_everything

SHARE = 0.45  # of the time that is left
FEWEST_STEPS = 60
MOST_KINDS = 2  # of training that are swept in one script
FEWEST_KEPT = 8  # batches for trials to count as paired
EVALUATION_BATCHES = 4
MOST_ENCORES = 10
ENCORE_SHARE = 0.25  # of the time that was left as the script ended
ENCORE_SECONDS = 10.0


class Sweep:
    """While it runs the loop's steps are trials: each from the same state, on the same batches, at another rate."""

    def __init__(self, watch: Watch, clock: Clock) -> None:
        self.watch = watch
        self.clock = clock
        self.wanted = True
        self.done = False
        self.encores = 0  # runs of the script for the rest of a sweep
        self.between_steps = False  # it began as a batch was asked for
        self.losses: list[torch.Tensor] = []
        self.seconds: list[float] = []  # of the trials' steps
        self._over = False  # it has all that it wanted
        self._start: Snapshot | None = None
        self._before: Snapshot | None = None
        self._probe: LearningRateProbe | None = None
        self._unfinished: LearningRateProbe | None = None
        self._setter: RateSetter | None = None
        self._trainers: list[LoaderFacts] = []
        self._kinds: set[tuple[Any, ...]] = set()
        self._alone = 0  # steps of other optimizers since the lead's last one
        self._encore_lead: torch.optim.Optimizer | None = None
        self._ended = 0.0
        self._last_step = 0.0

    @property
    def running(self) -> bool:
        """Whether the loop's steps are trials now."""
        return self._probe is not None

    @property
    def lead(self) -> torch.optim.Optimizer | None:
        """The optimizer whose steps are counted."""
        if self._encore_lead is not None:
            return self._encore_lead
        return self.watch.optimizers[0].optimizer if self.watch.optimizers else None

    # what trials begin from

    def keep_start(self, optimizer: torch.optim.Optimizer) -> None:
        """The first step is about to be made: trials begin from here."""
        if self._start is None and self.wanted and (not self.done or self.encores):
            if self.encores:
                self.watch.modules.index()
                self._encore_lead, self._setter = optimizer, RateSetter(optimizer)
                self.losses[:-1] = []  # what backward was called on before the first step is its own, the last
            self._start = of_everything(self.watch, [optimizer], start=True)

    def begin_anew(self) -> None:
        """Another model is trained from now on: sweep it too, unless its like was swept."""
        kind = _kind(self.watch.optimizers[0])
        if self.wanted and kind not in self._kinds and len(self._kinds) < MOST_KINDS:
            self._kinds.add(kind)
            self.done = False
            self._start = of_everything(self.watch, [], start=True)

    def forgo(self) -> None:
        """There will be none."""
        self.wanted, self._start = False, None

    # from the first trial to the last

    def begin(self) -> bool:
        """Begin, here in the loop; False, and the reason is recorded, if that is not possible."""
        watch = self.watch
        watch.flush()
        self.done = True
        self.clock.enter("learning-rate")
        facts = watch.optimizers[0]
        self._kinds.add(_kind(facts))
        watch.writer.clear("trial", probe="learning-rate")
        reason, steps = self.refusal(), self.step_budget()
        if reason is None and steps < FEWEST_STEPS:
            reason = f"a step takes {median(watch.step_seconds):.1f} s; the time budget has no room for a sweep"
        if reason is not None or self._start is None:
            self.refuse(reason or "the state before the first step was not seen")
            return False
        self._before = of_everything(watch, [], take=True)
        self._setter = RateSetter(facts.optimizer)
        self._probe = LearningRateProbe(facts.peak_rate, facts.name, steps)
        self._trainers = watch.loaders.training()
        watch.observing = False
        watch.look(active=False)
        self._begin_trial()
        return True

    def refuse(self, reason: str) -> None:
        """Record why there is no sweep."""
        self.watch.writer.put("probe", {"name": "learning-rate", "facts": {"missing": reason}})

    def step_budget(self) -> int:
        """Steps that it may take in its share of the time left."""
        return int(max(self.clock.left, 0.0) * SHARE / max(median(self.watch.step_seconds), 1e-5))

    def refusal(self) -> str | None:
        """Why rates cannot be compared in this loop."""
        facts = self.watch.optimizers[0]
        if facts.by_hand and not self.watch.by_hand.plain:
            return "the updates are made by hand, and are not the gradient times one learning rate"
        if facts.rebuilt:
            return "the optimizer is built anew on the way: its state cannot be rolled back"
        if facts.peak_rate <= 0:
            return f"{type(facts.optimizer).__name__} has no learning rate above zero in the watched steps"
        if facts.evaluations > 1 or isinstance(facts.optimizer, torch.optim.LBFGS):
            return "the optimizer evaluates a closure several times in a step and searches its own step length"
        if len(self.watch.optimizers) > 1 and facts.backwards_total >= 2 * facts.steps:
            return "several optimizers take turns, each with a loss of its own: no one loss says which rate is better"
        if not self.watch.backward_seen:
            return "no loss was seen: nothing calls backward"
        return None

    def before_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Set the trial's rate for the coming step."""
        if self._probe is not None and self._setter is not None:
            self._setter.set(optimizer, self._probe.rate)

    def after_step(self, optimizer: torch.optim.Optimizer) -> bool:
        """The optimizer has stepped, and gets its own rate back; whether it is the lead."""
        if self._setter is not None:
            self._setter.put_back(optimizer)
        if optimizer is self.lead:
            self._count()
            return True
        self._alone += 1
        if self._alone > STEPS_WITHOUT_LEAD and self._probe is not None and not self.encores:
            self._probe.stop()  # the lead's training is over
            self._over, self.between_steps = True, False
        return False

    def after_update_by_hand(self) -> None:
        """The user's own code has updated: make that update as large as the trial's rate has it."""
        if self._probe is not None:
            self.watch.by_hand.scale(self._probe.rate / self.watch.by_hand.rate)
            self._count()

    def serve(self, iterator: ServedIterator) -> Any:
        """The next batch: the kept ones over and over, of the loaders that were trained on."""
        facts = iterator.facts
        if facts.kept and facts in self._trainers:
            self.watch.loaders.current = facts
            return facts.replay()
        if iterator.exhausted or (iterator.served >= EVALUATION_BATCHES and not self.encores):
            raise StopIteration
        return self.watch.loaders.fetch(facts, iterator.inner)

    def _begin_trial(self) -> None:
        assert self._start is not None
        self._start.begin_trial()
        self.losses.clear()
        for each in self._trainers:
            each.position = 0

    def _count(self) -> None:
        probe = self._probe
        assert probe is not None
        self._alone = 0
        loss = sum(float(each) for each in self.losses) if self.losses else math.nan
        self.losses.clear()
        now = time.perf_counter()
        self.seconds.append(now - self._last_step)
        self._last_step = now
        row = {"probe": "learning-rate", "setting": probe.rate, "step": probe.taken, "loss": loss}
        self.watch.writer.put("trial", row)
        self.watch.passes.step()
        verdict = probe.after_step(loss)
        self.clock.report("learning-rate", probe.taken, probe.planned)
        if verdict == "next":
            self._begin_trial()
        elif verdict == "done" or self.clock.left < 2:
            if verdict != "done":
                probe.stop()
            if self.encores:
                self.clock.stop()
            self._over = True

    def settled(self, within_step: bool) -> bool:
        """End a sweep that is over, and put everything back; True if it ended just now.

        One that began as a batch was asked for must not end ``within_step``: a scheduler that is stepped after the
        optimizer would take one step more than in a bare run.
        """
        if not self._over or (self.between_steps and within_step):
            return False
        self._over = self.between_steps = False
        probe, self._probe = self._probe, None
        if probe is not None and self._before is not None:
            self._before.restore()
            self._before = None
            self._write(probe)
            self.watch.losses.clear()
            self.watch.observing = True
            self.watch.resume()
        self._start = None
        return True

    def abandon(self) -> None:
        """The watch has broken: no more trials."""
        self._probe = None

    def fail_trial(self) -> None:
        """The script raised in a trial: at that rate it does not get through."""
        if self._probe is not None:
            self._over = self._probe.after_step(math.inf) == "done"

    def _write(self, probe: LearningRateProbe) -> None:
        paired = any(len(each.kept) >= FEWEST_KEPT for each in self._trainers) or self.watch.same_batch_again
        facts = probe.facts(paired)
        missing = "no full round of rates was tried before the end"
        self.watch.writer.put("probe", {"name": "learning-rate", "facts": facts or {"missing": missing}})

    # after the script's end

    def finish(self, possible: bool) -> None:
        """The script is over; ``possible``: it was watched for long enough, and not swept yet."""
        if self._probe is not None:
            self._unfinished, self._probe = self._probe, None
            if self._before is not None:
                self._before.restore()
        elif possible and (reason := self.refusal()) is not None:
            self.refuse(reason)
        elif possible:
            facts = self.watch.optimizers[0]
            self._unfinished = LearningRateProbe(facts.peak_rate, facts.name, self.step_budget())
        self._start = None

    @property
    def wants_encore(self) -> bool:
        """The script is over and the sweep is not: it may run once more for the rest of it, if that is quick."""
        now = time.monotonic()
        quick = now - self._ended <= min(ENCORE_SHARE * (self.clock.deadline - self._ended), ENCORE_SECONDS)
        room = self.clock.left > 2 * self.clock.phases.get("start", 0.0)
        return self._unfinished is not None and not self._over and self.encores < MOST_ENCORES and quick and room

    def measure_from_here(self) -> None:
        """The time of an encore counts from now."""
        self._ended = time.monotonic()

    def begin_encore(self) -> None:
        """The script starts anew; its steps are trials from the first on."""
        assert self._unfinished is not None
        self.encores += 1
        self._probe = self._unfinished
        self._probe.restart_trial()
        self._start = self._before = self._setter = self._encore_lead = None
        self.watch.by_hand = self.watch.by_hand.again()
        self.watch.observing = False

    def end_encores(self) -> None:
        """No more runs: write down what it came to."""
        probe, self._unfinished, self._probe = self._unfinished, None, None
        if probe is not None:
            probe.stop()
            self._write(probe)


def _kind(facts: OptimizerFacts) -> tuple[Any, ...]:
    """Folds of a cross-validation are of one kind: one sweep will do for all."""
    return (facts.name, *(tuple(each.shape) for each in facts.parameters()))


def median(seconds: list[float]) -> float:
    """The median without the first, which warms up; 0 of nothing."""
    known = sorted(seconds[1:] or seconds)
    return known[len(known) // 2] if known else 0.0
