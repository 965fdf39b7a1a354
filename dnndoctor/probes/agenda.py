"""Which experiment is next, what it may cost, and the facts that each came to."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Any

from dnndoctor.observe.watch import Watch
from dnndoctor.probe_names import OTHERS_WANTED
from dnndoctor.probes.clock import Clock
from dnndoctor.probes.experiment import Experiment
from dnndoctor.probes.experiments import EXPERIMENTS, Entry
from dnndoctor.probes.loop import Loop
from dnndoctor.probes.outside import refuse

FEWEST_SECONDS = 2.0  # with less left nothing is begun
OVERRUN = 1.5  # of the seconds that were planned, before an experiment is stopped


class Agenda:
    """A queue of experiments. ``only``: these alone, if any are named."""

    def __init__(self, watch: Watch, clock: Clock, only: Collection[str]) -> None:
        self._watch = watch
        self._clock = clock
        self._only = only
        self._waiting: list[Entry] = []
        self._done: set[str] = set()
        self._until = 0.0
        self.results: dict[str, dict[str, Any]] = {}

    def fill(self) -> None:
        """All that are to be made of the kind of training that leads now."""
        self._waiting = [each for each in EXPERIMENTS if each.of_each_kind or each.name not in self._done]
        self._done |= {each.name for each in self._waiting}

    def next(self, step_seconds: float, forbidden: str | None = None) -> Experiment | None:
        """Begin the next that is possible; the others' reasons are recorded.

        ``forbidden``: why none is.
        """
        while self._waiting:
            entry = self._waiting.pop(0)
            self._clock.enter(entry.name)
            self._watch.writer.clear("trial", probe=entry.name)
            experiment = entry.make()
            seconds = min(self._clock.left * entry.share, entry.most)
            try:
                reason = self._reason(entry, experiment, seconds, step_seconds) or forbidden
                if reason is None:
                    loop = Loop(self._watch, step_seconds, self.results)
                    experiment.begin(loop, int(seconds / max(step_seconds, 1e-5)))
                    self._until = time.monotonic() + OVERRUN * seconds
                    return experiment
            except Exception as bug:  # noqa: BLE001 - one experiment's fault must not end the examination
                reason = failed(bug)
            refuse(self._watch, entry.name, reason)
        return None

    def _reason(self, entry: Entry, experiment: Experiment, seconds: float, step_seconds: float) -> str | None:
        if self._only and entry.name not in self._only:
            return OTHERS_WANTED
        reason = experiment.refusal(Loop(self._watch, step_seconds, self.results))
        if reason is not None:
            return reason
        if self._clock.left < FEWEST_SECONDS:
            return "the time was up"
        if seconds < entry.fewest * step_seconds:
            return f"a step takes {step_seconds:.2g} s; the time budget has no room for {entry.fewest} of them"
        return None

    @property
    def time_is_up(self) -> bool:
        """The experiment under way has had its time."""
        return time.monotonic() > self._until or self._clock.left < FEWEST_SECONDS

    def write(self, experiment: Experiment, paired: bool, otherwise: str) -> None:
        """Record the facts of an experiment that is over; ``otherwise``: the reason if it has none."""
        try:
            facts = experiment.facts(paired)
        except Exception as bug:  # noqa: BLE001 - as above
            facts, otherwise = {}, failed(bug)
        if facts:
            self.results[experiment.name] = facts
            self._watch.writer.put("probe", {"name": experiment.name, "facts": facts})
        else:
            refuse(self._watch, experiment.name, otherwise)

    def refuse(self, name: str, reason: str) -> None:
        """Record why this one found nothing."""
        refuse(self._watch, name, reason)

    def refuse_all(self, reason: str) -> None:
        """None of those that wait will be made."""
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            refuse(self._watch, each.name, OTHERS_WANTED if self._only and each.name not in self._only else reason)


def failed(bug: BaseException) -> str:
    """The reason that an experiment which raised leaves."""
    return f"it failed with {type(bug).__name__}: {(str(bug).splitlines() or [''])[0][:150]}"
