"""Learning-rate sensitivity: several rates from one snapshot, in the user's own loop.

Every rate starts from the state before the first step and sees the same batches; that pairing is what keeps a
noisy batch from deciding. The field of rates is thinned by successive halving, each round longer than the last. A
rate is dropped early only for what the lowest rate did not suffer on the same batches, never for its own first
loss, which heavy-tailed batches would trip at every rate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dnndoctor.probes.experiment import Experiment, Setting, Verdict
from dnndoctor.probes.loop import Loop

ROUNDS = ((10, 1.0), (20, 0.45), (40, 0.25))  # steps of the trial, share of the rates that enter it
TAIL = 0.3  # share of a trial's steps that its score is the mean of
ADAPTIVE = frozenset(("Adam", "AdamW", "NAdam", "RAdam", "Adamax", "SparseAdam", "RMSprop", "Lion", "LAMB"))


@dataclass
class Trial:
    """One rate's run in one round."""

    rate: float
    steps: int
    losses: list[float] = field(default_factory=list)

    @property
    def score(self) -> float:
        """Mean loss over the last steps; infinite where it broke down."""
        if not self.losses or not all(math.isfinite(each) for each in self.losses):
            return math.inf
        tail = max(round(self.steps * TAIL), 1)
        return float(np.mean(self.losses[-tail:])) if len(self.losses) >= self.steps else math.inf


def ladder(user_rate: float, optimizer: str) -> list[float]:
    """Half a decade apart over the range that the optimizer's kind can need, the user's own rate among them."""
    low, high = (1e-5, 1.0) if optimizer in ADAPTIVE else (1e-4, 10.0)
    low, high = min(low, user_rate / 10), max(high, user_rate * 10)
    count = round(2 * math.log10(high / low)) + 1
    grid = [low * 10 ** (i / 2) for i in range(count)]
    spaced = [rate for rate in grid if abs(math.log10(rate / user_rate)) > 0.15]
    return sorted([*spaced, user_rate])


class LearningRateProbe:
    """Decides the rate of each step; told the loss after it."""

    def __init__(self, user_rate: float, optimizer: str, step_budget: int) -> None:
        self.user_rate = user_rate
        self.optimizer = optimizer
        rates = ladder(user_rate, optimizer)
        self._rounds = list(ROUNDS)
        while len(self._rounds) > 1 and _cost(self._rounds, len(rates)) > step_budget:
            self._rounds.pop()
        first = max(min(self._rounds[0][0], step_budget // max(len(rates), 1)), 4)
        self._rounds[0] = (first, 1.0)
        self.planned = _cost(self._rounds, len(rates))
        self.done: list[list[Trial]] = []
        self._round: list[Trial] = []
        self._rates = rates
        self._trial = 0
        self._begin_round()

    @property
    def rate(self) -> float:
        """The rate to step with now."""
        return self._round[self._trial].rate

    @property
    def taken(self) -> int:
        """Steps taken so far."""
        return sum(len(t.losses) for each in (*self.done, self._round) for t in each)

    def after_step(self, loss: float) -> Verdict:
        """What to do next: "go-on", "next" (roll back, the next trial begins) or "done"."""
        trial = self._round[self._trial]
        trial.losses.append(loss)
        if len(trial.losses) < trial.steps and not self._hopeless(trial):
            return "go-on"
        self._trial += 1
        if self._trial < len(self._round):
            return "next"
        self.done.append(self._round)
        if len(self.done) == len(self._rounds):
            return "done"
        self._choose()
        self._begin_round()
        return "next"

    def restart_trial(self) -> None:
        """The trial that was under way begins again."""
        if self._trial < len(self._round):
            self._round[self._trial].losses.clear()

    def stop(self) -> None:
        """No more steps will come; an unfinished round is not judged."""
        if self._trial < len(self._round):
            self._round = []

    def _begin_round(self) -> None:
        self._trial = 0
        steps = self._rounds[len(self.done)][0]
        self._round = [Trial(rate, steps) for rate in self._rates]

    def _choose(self) -> None:
        share = self._rounds[len(self.done)][1]
        keep = max(round(len(ladder(self.user_rate, self.optimizer)) * share), 3)
        ranked = sorted(self.done[-1], key=lambda t: t.score)
        lowest = self.done[-1][0].rate  # hardly moves: what these batches cost untrained
        chosen = {t.rate for t in ranked[:keep]} | {self.user_rate, lowest}
        self._rates = sorted(chosen)

    def _hopeless(self, trial: Trial) -> bool:
        last = trial.losses[-1]
        if not math.isfinite(last):
            return True
        lowest = self._round[0]
        if trial is lowest or len(trial.losses) > len(lowest.losses) or len(trial.losses) < 3:
            return False
        beside = lowest.losses[len(trial.losses) - 1]
        worst = max(abs(each) for each in lowest.losses)
        return last - beside > 20 * worst

    def facts(self, paired: bool) -> dict[str, Any]:
        """The sweep's result, or an empty mapping if no round was finished."""
        if not self.done:
            return {}
        return summarize(self.done, self.user_rate, self.optimizer, paired)


def _cost(rounds: list[tuple[int, float]], rates: int) -> int:
    return sum(steps * max(round(rates * share) + 1, 4) for steps, share in rounds)


def summarize(rounds: list[list[Trial]], user_rate: float, optimizer: str, paired: bool) -> dict[str, Any]:
    """From the trials of all finished rounds to best, usable and diverging rates.

    Scores of the last round decide among its rates; the first round, which has them all, gives range and edge. The
    lowest rate runs in every round and hardly moves: its score is what the same batches cost untrained.
    """
    first = sorted(rounds[0], key=lambda t: t.rate)
    last = sorted(rounds[-1], key=lambda t: t.rate)
    start, early = last[0].score, first[0].score
    noise = float(np.std(last[0].losses)) / max(round(last[0].steps * TAIL), 1) ** 0.5
    best = min(last, key=lambda t: t.score)
    user = next(t for t in last if t.rate == user_rate)
    progress = start - best.score
    usable = [t.rate for t in first if early - t.score >= 0.5 * (early - min(f.score for f in first))]
    diverged = [t.rate for t in first if _diverged(t, early, noise)]
    edge = _edge(first, diverged)
    margin = progress / noise if noise > 0 else math.inf
    long = last[0].steps >= ROUNDS[1][0]
    confidence = "high" if paired and long and margin > 5 else "medium" if (paired or long) and margin > 3 else "low"
    return {
        "optimizer": optimizer,
        "rates": [t.rate for t in first],
        "scores": [t.score for t in first],
        "start": start,
        "noise": noise,
        "user_rate": user_rate,
        "user_score": user.score,
        "best_rate": best.rate,
        "best_score": best.score,
        "usable": [min(usable), max(usable)] if usable else [best.rate, best.rate],
        "diverging_rate": edge,
        "steps": last[0].steps,
        "score_steps": first[0].steps,
        "paired": paired,
        "confidence": confidence,
    }


def _diverged(trial: Trial, start: float, noise: float) -> bool:
    if not math.isfinite(trial.score):
        return True
    return trial.score > start + max(abs(start), 3 * noise)


def _edge(trials: list[Trial], diverged: list[float]) -> float | None:
    """The lowest rate from which on all rates diverged."""
    edge = None
    for trial in sorted(trials, key=lambda t: -t.rate):
        if trial.rate not in diverged:
            break
        edge = trial.rate
    return edge


class LearningRate(Experiment):
    """The sweep as an experiment."""

    name = "learning-rate"
    numbers_trials = False

    def begin(self, loop: Loop, steps: int) -> None:
        """Plan the rates and rounds."""
        self._probe = LearningRateProbe(loop.user_rate, loop.lead.name, steps)

    @property
    def setting(self) -> Setting:
        """The rate alone."""
        return Setting(rate=self._probe.rate)

    def after_step(self, loss: float) -> Verdict:
        """As the sweep has it."""
        return self._probe.after_step(loss)

    def restart_trial(self) -> None:
        """From its first step."""
        self._probe.restart_trial()

    def stop(self) -> None:
        """An unfinished round is not judged."""
        self._probe.stop()

    def facts(self, paired: bool) -> dict[str, Any]:
        """See ``summarize``."""
        return self._probe.facts(paired)

    @property
    def progress(self) -> tuple[int, int]:
        """Steps taken and planned."""
        return self._probe.taken, self._probe.planned
