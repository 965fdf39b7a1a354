"""Trials in the user's own loop: what they begin from, what is other than usual in them, and all as it was afterwards.

While an experiment runs the loop's steps are its trials'. See ``experiment.py`` for what one has to answer.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from dnndoctor.observe.loaders import ServedIterator
from dnndoctor.observe.steps import OptimizerFacts
from dnndoctor.observe.watch import STEPS_WITHOUT_LEAD, Watch
from dnndoctor.probes.agenda import Agenda, failed
from dnndoctor.probes.clock import Clock
from dnndoctor.probes.dropouts import Dropouts
from dnndoctor.probes.experiment import Experiment, Setting, Verdict
from dnndoctor.probes.loop import Loop
from dnndoctor.probes.model_call import ModelCall
from dnndoctor.probes.rate_setter import RateSetter
from dnndoctor.probes.served import Served
from dnndoctor.probes.snapshot import Snapshot, of_everything
from dnndoctor.probes.stand_in import StandIn

if TYPE_CHECKING:
    from dnndoctor.probes.conductor import Hooks

MOST_KINDS = 2  # of training that are tried in one script
FEWEST_KEPT = 8  # batches for trials to count as paired
MOST_ENCORES = 24
ENCORE_SHARE = 0.25  # of the time that was left as the script ended
ENCORE_SECONDS = 10.0


class Trials:
    """The experiments of one examination, one after the other; ``only``: these alone, if any are named."""

    def __init__(self, watch: Watch, clock: Clock, only: Collection[str] = ()) -> None:
        self.watch = watch
        self.clock = clock
        self.wanted = True
        self.done = False
        self.encores = 0  # runs of the script for the rest of the experiments
        self.between_steps = False  # they began as a batch was asked for
        self.losses: list[torch.Tensor] = []
        self.seconds: list[float] = []  # of the trials' steps
        self.agenda = Agenda(watch, clock, only)
        self.served = Served(watch)
        self.model_call = ModelCall(watch, lambda: self.setting)
        self.call_hooks: Hooks | None = None  # hung up while model calls are other than usual
        self.setting: Setting | None = None  # of the coming step
        self._over = False  # all have had what they wanted
        self._start: Snapshot | None = None
        self._before: Snapshot | None = None
        self._experiment: Experiment | None = None
        self._unfinished: Experiment | None = None
        self._setter: RateSetter | None = None
        self._stand_in: StandIn | None = None
        self._dropouts = Dropouts()
        self._kinds: set[tuple[Any, ...]] = set()
        self._alone = 0  # steps of other optimizers since the lead's last one
        self._broken: Exception | None = None  # what the experiment under way raised
        self._trial = self._step = 0  # of the experiment
        self._encore_lead: torch.optim.Optimizer | None = None
        self._ended = 0.0
        self._last_step = 0.0

    @property
    def running(self) -> bool:
        """Whether the loop's steps are trials now."""
        return self._experiment is not None

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
            if self._experiment is not None:
                self._change_start()

    def begin_anew(self) -> None:
        """Another model is trained from now on: try it too, unless its like was tried."""
        kind = _kind(self.watch.optimizers[0])
        if self.wanted and kind not in self._kinds and len(self._kinds) < MOST_KINDS:
            self._kinds.add(kind)
            self.done = False
            self._start = of_everything(self.watch, [], start=True)

    def forgo(self, reason: str | None = None) -> None:
        """There will be none; ``reason``: recorded for each."""
        self.wanted, self._start = False, None
        if reason is not None:
            self.agenda.fill()
            self.agenda.refuse_all(reason)

    # from the first trial to the last

    def begin(self) -> bool:
        """Begin, here in the loop; False, and the reasons are recorded, if nothing can be tried."""
        watch = self.watch
        watch.flush()
        self.done = True
        self._kinds.add(_kind(watch.optimizers[0]))
        self.agenda.fill()
        missing = None if self._start is not None else "the state before the first step was not seen"
        self._experiment = self.agenda.next(self.step_seconds, missing)
        if self._experiment is None:
            self._start = None
            return False
        watch.observing = False
        watch.look(active=False)
        self._before = of_everything(watch, [], take=True)
        self._setter = RateSetter(watch.optimizers[0].optimizer)
        self.served.begin()
        self._begin_trial()
        return True

    @property
    def step_seconds(self) -> float:
        """Of a step of the loop's, by the trials so far where there were some: watched steps take longer."""
        timed = self.seconds[1:]
        return median(timed if len(timed) >= 10 else self.watch.step_seconds)

    @property
    def wants_gradients(self) -> bool:
        """Whether the experiment is to be told of backward passes."""
        experiment = self._experiment
        return experiment is not None and type(experiment).after_backward is not Experiment.after_backward

    def before_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Set the trial's rate for the coming step."""
        if self.setting is None:
            return
        if self._setter is not None and self.setting.rate is not None:
            self._setter.set(optimizer, self.setting.rate)
        if self._stand_in is not None:
            self._stand_in.before_step(optimizer)

    def after_step(self, optimizer: torch.optim.Optimizer) -> bool:
        """The optimizer has stepped, and gets its own rate back; whether it is the lead."""
        if self._stand_in is not None:
            try:
                self._stand_in.after_step(optimizer)
            except Exception as bug:  # noqa: BLE001 - the other rule refuses these gradients, sparse ones say
                self._broken = bug
        if self._setter is not None:
            self._setter.put_back(optimizer)
        if optimizer is self.lead:
            self._count()
            return True
        self._alone += 1
        if self._alone > STEPS_WITHOUT_LEAD and self._experiment is not None and not self.encores:
            self._end_all("the lead optimizer's training was over")
            self.between_steps = False
        return False

    def after_backward(self) -> None:
        """Backward has run in a trial."""
        if self.wants_gradients and self._experiment is not None:
            lead = self.lead
            groups = lead.param_groups if lead is not None else []
            try:
                self._experiment.after_backward(p for group in groups for p in group["params"])
            except Exception as bug:  # noqa: BLE001 - one experiment's fault must not end the examination
                self._broken = bug

    def after_update_by_hand(self) -> None:
        """The user's own code has updated: make that update as large as the trial's rate has it."""
        if self.setting is not None:
            if self.setting.rate is not None:
                self.watch.by_hand.scale(self.setting.rate / self.watch.by_hand.rate)
            self._count()

    def serve(self, iterator: ServedIterator) -> Any:
        """The next batch, as the trial has it."""
        return self.served.next(iterator, self.setting, again=self.encores > 0)

    def _begin_trial(self) -> None:
        assert self._start is not None
        self._put_trial_away()
        self._start.begin_trial()
        self.losses.clear()
        self.served.rewind()
        self._change_start()
        self._trial += 1

    def _change_start(self) -> None:
        """What a trial has other than the start of all."""
        assert self._experiment is not None
        setting = self.setting = self._experiment.setting
        loop = Loop(self.watch, self.step_seconds, self.agenda.results)
        self._stand_in = StandIn(self.watch, setting.update) if setting.update is not None else None
        if setting.start is not None:
            with torch.no_grad():
                setting.start(loop)
        if setting.dropout is not None:
            self._dropouts.set(loop.modules(), setting.dropout)
        if setting.seed is not None:
            random.seed(setting.seed)
            np.random.seed(setting.seed)
            torch.manual_seed(setting.seed)
        self._switch_calls()

    def _switch_calls(self) -> None:
        if self.call_hooks is not None:
            if self.setting is not None and (self.setting.inputs is not None or self.setting.evaluating):
                self.call_hooks.on()
            else:
                self.call_hooks.remove()

    def _put_trial_away(self) -> None:
        self.setting = self._stand_in = None
        self._dropouts.put_back()
        self._switch_calls()

    def _count(self) -> None:
        experiment = self._experiment
        if experiment is None:
            return
        self._alone = 0
        loss = sum(float(each) for each in self.losses) if self.losses else math.nan
        self.losses.clear()
        self.served.step()
        now = time.perf_counter()
        self.seconds.append(now - self._last_step)
        self._last_step = now
        number = float(self._trial) if experiment.numbers_trials else (self.setting and self.setting.rate)
        self.watch.writer.put("trial", {"probe": experiment.name, "setting": number, "step": self._step, "loss": loss})
        self._step += 1
        self.watch.passes.step()
        verdict = self._told(experiment, loss)
        if self._broken is not None:
            self.agenda.refuse(experiment.name, failed(self._broken))
            self._next()
        elif verdict == "done":
            self._write()
            self._next()
        elif verdict == "next":
            self._begin_trial()

    def _told(self, experiment: Experiment, loss: float) -> Verdict:
        try:
            verdict = experiment.after_step(loss)
            self.clock.report(experiment.name, *experiment.progress)
            if verdict == "go-on":
                self.setting = experiment.setting
                self._switch_calls()
        except Exception as bug:  # noqa: BLE001 - as above
            self._broken = self._broken or bug
            return "go-on"
        if verdict != "done" and self.agenda.time_is_up:
            experiment.stop()
            return "done"
        return verdict

    def _next(self) -> None:
        """The experiment is over; on to the one after it, from the same start."""
        self._experiment = self.agenda.next(self.step_seconds)
        self._trial, self._step, self._broken = 0, 0, None
        if self._experiment is not None:
            self._begin_trial()
            return
        self._over = True
        self._put_trial_away()
        if self.encores:
            self.clock.stop()

    def _end_all(self, reason: str) -> None:
        if self._experiment is not None:
            self._experiment.stop()
            self._write()
            self._experiment = None
        self.agenda.refuse_all(reason)
        self._put_trial_away()
        self._over = True

    def settled(self, within_step: bool) -> bool:
        """End when all are over, and put everything back; True if it ended just now.

        Those that began as a batch was asked for must not end ``within_step``: a scheduler that is stepped after the
        optimizer would take one step more than in a bare run.
        """
        if not self._over or (self.between_steps and within_step):
            return False
        self._over = self.between_steps = False
        if self._before is not None:
            self._before.restore()
            self._before = None
            self.watch.losses.clear()
            self.watch.observing = True
            self.watch.resume()
        self._start = None
        return True

    def abandon(self) -> None:
        """The watch has broken: no more trials."""
        self._experiment = None
        self._put_trial_away()

    def fail_trial(self) -> None:
        """The script raised in a trial: with that setting it does not get through."""
        experiment = self._experiment
        if experiment is None:
            return
        try:
            verdict = experiment.after_step(math.inf)
        except Exception as bug:  # noqa: BLE001 - as above
            self.agenda.refuse(experiment.name, failed(bug))
            verdict = "go-on"
            self._experiment = self.agenda.next(self.step_seconds)
        if verdict == "done":
            self._write()
            self._experiment = self.agenda.next(self.step_seconds)
        self._over = self._experiment is None

    def _write(self) -> None:
        if self._experiment is not None:
            self.agenda.write(self._experiment, self.served.paired, "no full round of trials was made before the end")

    # after the script's end

    def finish(self, possible: bool) -> None:
        """The script is over; ``possible``: it was watched for long enough, and nothing was tried yet."""
        self._put_trial_away()
        if self._experiment is not None:
            self._unfinished, self._experiment = self._experiment, None
            if self._before is not None:
                self._before.restore()
                self._before = None
        elif possible:
            self.agenda.fill()
            self.served.begin()
            self._unfinished = self.agenda.next(self.step_seconds)
        self._start = None

    @property
    def wants_encore(self) -> bool:
        """The script is over and the trials are not: it may run once more for the rest of them, if that is quick."""
        now = time.monotonic()
        quick = now - self._ended <= min(ENCORE_SHARE * (self.clock.deadline - self._ended), ENCORE_SECONDS)
        room = self.clock.left > 2 * self.clock.phases.get("start", 0.0)
        return self._unfinished is not None and not self._over and self.encores < MOST_ENCORES and quick and room

    def measure_from_here(self) -> None:
        """The time of the encores counts from now."""
        self._ended = time.monotonic()

    def begin_encore(self) -> str:
        """The script starts anew; its steps are trials from the first on. Gives the name of the experiment."""
        self._put_trial_away()
        experiment = self._experiment or self._unfinished
        assert experiment is not None
        self.encores += 1
        self._experiment = self._unfinished = experiment
        experiment.restart_trial()
        self._start = self._before = self._setter = self._encore_lead = None
        self.losses.clear()
        self.setting = experiment.setting
        self._switch_calls()
        self.served.begin_again()
        self.watch.by_hand = self.watch.by_hand.again()
        self.watch.observing = False
        return experiment.name

    def end_encores(self) -> None:
        """No more runs: write down what it came to."""
        self._experiment = self._unfinished or self._experiment
        self._unfinished = None
        if self._experiment is not None:
            self._end_all("the script was over before its turn came")


def _kind(facts: OptimizerFacts) -> tuple[Any, ...]:
    """Folds of a cross-validation are of one kind: one sweep will do for all."""
    return (facts.name, *(tuple(each.shape) for each in facts.parameters()))


def median(seconds: list[float]) -> float:
    """The median without the first, which warms up; 0 of nothing."""
    known = sorted(seconds[1:] or seconds)
    return known[len(known) // 2] if known else 0.0
