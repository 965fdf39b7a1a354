"""Who acts when: first watch, then trials, then throughput, then on to evaluation and one more step, and stop.

The conductor sits at the borders (a step, a batch asked for, a backward) and is the only one that acts there. What
the user's loop would have done is done again afterwards: a probe starts from a snapshot and ends by restoring one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NoReturn, Protocol

import torch

from dnndoctor.observe.loaders import ServedIterator
from dnndoctor.observe.watch import Watch
from dnndoctor.probes import outside
from dnndoctor.probes.clock import Clock
from dnndoctor.probes.hand_border import HandBorder
from dnndoctor.probes.served import EVALUATION_BATCHES
from dnndoctor.probes.trials import Trials

FURTHER_STEPS = 3
QUICK_START = 10.0  # seconds to the first step; such a script is rather run again than swept before it was watched
OBSERVE_SHARE = 0.4  # of the time that is left as the first step is made
FEWEST_STEPS = 3
UNTIL_EVALUATION = 2.0  # seconds to run on, unwatched, for an evaluation to come by


class Hooks(Protocol):
    """Hooks that can be hung up and taken down."""

    def on(self) -> None:
        """Hang them up."""

    def remove(self) -> None:
        """Take them down."""


class Conductor:
    """The state of one examination."""

    def __init__(
        self,
        watch: Watch,
        *,
        steps: int,
        probes: bool,
        only_probes: tuple[str, ...] = (),
        deadline: float,
        report: Callable[[str, int, int], None],
    ) -> None:
        self.watch = watch
        self.clock = Clock(deadline, report)
        self.trials = Trials(watch, self.clock, only_probes)
        self.hand = HandBorder(self)
        self.cut = False  # the user's epoch was ended early: what their script does now is no longer theirs
        self.module_hooks: Hooks | None = None  # taken down while no module call is of interest
        self._steps = self._target = steps  # the target grows where another model is trained later on
        self._probes = probes
        self._only_probes = only_probes  # of all probes these alone, if any are named
        self._only: str | None = None  # why nothing but watching is possible
        self._evaluated = False
        self._further = 0
        if not probes:
            self.trials.forgo()

    # borders

    @property
    def probing(self) -> bool:
        """Whether the loop's steps are trials now."""
        return self.trials.running

    @property
    def wants_pass(self) -> bool:
        """Whether a module's call is of interest although nobody observes."""
        return self.probing and (self.watch.passes_in_trials > 0 or self.watch.by_hand.pending)

    def open_step(self, optimizer: torch.optim.Optimizer) -> None:
        """An optimizer's step begins; a closure of its own is yet to be evaluated."""
        self.clock.still_stopped()
        self.hand.drop()
        self.settle()
        self.clock.first_step()
        self.trials.keep_start(optimizer)
        self.trials.before_step(optimizer)

    def before_step(self, optimizer: torch.optim.Optimizer) -> None:
        """The gradients are there, and the optimizer is about to use them."""
        if not self.probing and self.watch.observing:
            self.watch.before_step(optimizer)

    def after_step(self, optimizer: torch.optim.Optimizer) -> None:
        """An optimizer has stepped."""
        if self.probing:
            if self.trials.after_step(optimizer):
                self._take_down_module_hooks()
            self.settle(within_step=True)
        elif self.watch.observing:
            lead = self.trials.lead
            self.watch.after_step(optimizer)
            if optimizer is self.trials.lead:
                self.after_lead_step(promoted=lead is not optimizer and lead is not None)
        self.look_at_the_clock()

    def after_lead_step(self, promoted: bool = False) -> None:
        """A step of the user's own is through; ``promoted``: by an optimizer that leads from now on."""
        if self.clock.phase == "evaluate":
            self._further += self._evaluated
        if promoted:
            self._target = max(self._target, self.watch.step + self._steps)
            if self.clock.phase != "evaluate":
                self.trials.begin_anew()
        self.clock.report(self.clock.phase, min(self.watch.step, self._target), self._target)
        self._go_on()

    def stop_if_failed(self) -> None:
        """Nothing more is to be seen once the watch has broken."""
        if self.watch.failure is not None:
            self.trials.abandon()
            self.clock.stop("failed")

    def begin_pass(self) -> None:
        """A forward pass with gradients begins; an update by hand, if there was one, lies behind."""
        self.clock.still_stopped()
        self.hand.close()

    def on_backward(self, values: list[torch.Tensor]) -> None:
        """Backward runs on these losses."""
        self.clock.still_stopped()
        self.hand.close()
        self.look_at_the_clock()
        (self.trials.losses if self.probing else self.watch.losses).extend(values)

    def after_backward(self, roots: list[torch.Tensor]) -> None:
        """Backward has run on ``roots``."""
        self.watch.after_backward(roots)
        if self.probing:
            self.trials.after_backward()
        self.hand.after_backward(roots)

    def adopt_thread(self, stepping: bool = False) -> bool:
        """Training goes on in this thread, and not in the one that we started in; the first step decides."""
        watch = self.watch
        if watch.step or (watch.backward_seen and not stepping) or watch.stack or self.probing:
            return False
        watch.thread = threading.get_ident()
        watch.forward.__enter__()
        return True

    def serve(self, iterator: ServedIterator) -> Any:
        """The next batch for the user's loop."""
        self.clock.still_stopped()
        if threading.get_ident() != self.watch.thread:
            return next(iterator.inner)
        if not iterator.exhausted:
            self.hand.close()
        self.settle()
        self.look_at_the_clock()
        if self.probing:
            return self.trials.serve(iterator)
        if iterator.exhausted:
            raise StopIteration
        if self.clock.phase == "evaluate":
            self._limit(iterator)
        return self._fetch(iterator)

    def _fetch(self, iterator: ServedIterator) -> Any:
        facts, loaders = iterator.facts, self.watch.loaders
        if not iterator.served:
            iterator.backwards_before = self.watch.backwards
        try:
            batch = loaders.fetch(facts, iterator.inner)
        except StopIteration:
            iterator.exhausted = facts.ended = True
            loaders.current = None
            # A batch that a library drew ahead is the user's own, and still to be trained on.
            ahead = iterator.served > self.watch.backwards - iterator.backwards_before
            if facts in loaders.training() and not ahead and self._may_try(at_epoch_end=True) and self._begin_trials():
                self.trials.between_steps = True
                return self.trials.serve(iterator)
            raise
        if self.watch.observing:
            self.watch.tell_batch(facts, batch)
        if self.trials.wanted and self.clock.phase == "observe":
            facts.keep(batch)
        return batch

    def note_evaluation(self) -> None:
        """A pass without gradients began, perhaps while waiting for one."""
        self.clock.still_stopped()
        self.look_at_the_clock()
        if self.clock.phase == "evaluate":
            self._evaluated = True

    def look_at_the_clock(self) -> None:
        """Stop if the time is up."""
        self.clock.look(self.watch.step_seconds)

    # the script's end, and its runs after that

    def finish(self) -> None:
        """The script is over, whichever way: measure what can be measured without it."""
        self.settle()
        # A script whose steps were used for trials, or that made more than were asked for, was not seen to its end.
        unused = self.clock.phase == "observe" and not self.trials.done and self.watch.step < self._target
        self.watch.writer.run(saw_all=unused)
        self.trials.finish(self._may_try(at_epoch_end=False) and self.watch.step > 0)
        if self.watch.step:
            self._probe_outside(over=True)
        self.trials.measure_from_here()
        self.clock.enter("finish")

    @property
    def wants_encore(self) -> bool:
        """Whether the script is to run once more, for the rest of the trials."""
        return self.trials.wants_encore

    def begin_encore(self) -> None:
        """The script starts anew; its steps are trials from the first on."""
        name = self.trials.begin_encore()
        self._hang_module_hooks()
        self.clock.enter(name)

    def end_encores(self) -> None:
        """No more runs."""
        self.trials.end_encores()
        self.clock.enter("finish")

    # the order of things

    def watch_only(self, reason: str) -> None:
        """Try nothing and cut nothing short: others wait for this process at every step."""
        self._only = reason
        self.trials.forgo()

    def settle(self, within_step: bool = False) -> None:
        """Go on after trials that are over."""
        if self.trials.settled(within_step):
            self._hang_module_hooks()
            self._after_trials()

    def _go_on(self) -> None:
        if self.clock.phase == "observe":
            broken = self.watch.non_finite and self.watch.step >= FEWEST_STEPS
            if self.watch.step < self._target and not broken and not self._watched_long_enough():
                return
            if self._only is not None:
                self._end_watching(self._only)
            if self._may_try(at_epoch_end=False):
                self._begin_trials()
            else:
                self._look_for_evaluation()
        elif self.clock.phase == "evaluate" and (self._further >= FURTHER_STEPS or self._waited_enough()):
            self.clock.stop()

    def _end_watching(self, reason: str) -> NoReturn:
        self.trials.forgo(reason)
        self.clock.enter("evaluate")
        self.clock.stop()

    def _watched_long_enough(self) -> bool:
        """Steps of seconds each: what is left of the time goes to the probes and the evaluation."""
        share = self.clock.in_phase / max(self.clock.in_phase + self.clock.left, 1e-3)
        return share > OBSERVE_SHARE and self.watch.step >= FEWEST_STEPS

    def _may_try(self, at_epoch_end: bool) -> bool:
        wanted = self.trials.wanted and not self.trials.done and self.clock.phase == "observe"
        slow = self.clock.phases.get("start", 0.0) > QUICK_START
        return wanted and (not at_epoch_end or (slow and self.watch.step >= 2))

    def _begin_trials(self) -> bool:
        began = self.trials.begin()
        if not began:
            self._after_trials()
        return began

    def _after_trials(self) -> None:
        self._probe_outside()
        if self.watch.step >= self._target or self.watch.non_finite:
            self._look_for_evaluation()
        else:
            self.watch.look()
            self.clock.enter("observe")

    def _probe_outside(self, over: bool = False) -> None:
        outside.run(
            self.watch,
            self.clock,
            self.trials.step_seconds,
            probes=self._probes,
            only=self._only_probes,
            forbidden=self._only,
            over=over,
        )

    def _look_for_evaluation(self) -> None:
        self.clock.enter("evaluate")
        self.watch.begin_shallow()
        self._hang_module_hooks()
        self._evaluated = any(not g.gradients for g in self.watch.passes.groups.values())
        for each in self.watch.loaders.training():
            each.position = -1  # the epoch ends at its next batch

    def _limit(self, iterator: ServedIterator) -> None:
        """Epochs of a few steps and evaluations of a few batches: on to what the script does after them."""
        facts = iterator.facts
        training = facts in self.watch.loaders.training()
        if training and (facts.position == -1 or iterator.served >= FURTHER_STEPS):
            facts.position = 0
            self.watch.loaders.current = None
            iterator.exhausted = self.cut = True
            raise StopIteration
        if not training and iterator.served >= EVALUATION_BATCHES:
            iterator.exhausted = self.cut = True
            raise StopIteration

    def _waited_enough(self) -> bool:
        before = self.clock.phase_began - self.clock.began
        return self.clock.in_phase > min(UNTIL_EVALUATION, max(0.5 * before, 0.5))

    def _hang_module_hooks(self) -> None:
        if self.module_hooks is not None:
            self.module_hooks.on()

    def _take_down_module_hooks(self) -> None:
        if self.module_hooks is not None and not self.wants_pass:
            self.module_hooks.remove()
