"""An experiment: short trainings ("trials") inside the user's own loop, one file each; ``experiments.py`` lists them.

The protocol. The engine (``trials.py``) asks for the ``setting`` before each of the loop's steps, tells the loss after
it (``after_step``), and does as it is answered: "go-on"; "next": everything is rolled back to the state before the
script's first step, and the next trial begins; "done". All trials begin from that state and are served the same
kept batches in the same order, so that what differs is the setting alone. When all is over the user's state is put
back bit for bit, whatever the trials did.

Most experiments are easier written as ``Planned``: ``plan`` is a generator that yields one ``Trial`` after the other
and is sent back the losses of each, one per step. ``facts`` may be asked for at any time: an experiment whose time
is up is stopped in the middle, and tells what it has; ``{}`` if that is nothing. A trial that the script broke off (it
raised, or was over) begins again in the script's next run.

What an experiment may ask of the loop stands in ``loop.py``: its rates, how many batches were kept, the seconds that a
step takes, the facts of experiments before it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch

from dnndoctor.probes.loop import Loop

Verdict = Literal["go-on", "next", "done"]
Call = tuple[tuple[Any, ...], dict[str, Any]]
Update = Callable[[list[dict[str, Any]]], torch.optim.Optimizer]


@dataclass(frozen=True, slots=True)
class Setting:
    """What is other than usual in a step. Where nothing is said the loop's own way stands.

    ``rate``: of the lead optimizer's fastest group; other groups and optimizers keep their proportion to it.
    ``batches``: the kept batches, by number, that are served over and over in this order, of each training loader;
    None: all in their own order. Where the loop takes its batches from no loader nothing is kept, and the loop's own
    are used. ``inputs``: from the arguments of the model's call (positional, by keyword) to those that it gets instead.
    ``evaluating``: dropout and batch norm are in evaluation mode during the model's call.
    As a trial begins only: ``update``: from parameter groups (``params``, ``lr``) to the optimizer that steps in the
    place of the user's, which is undone. ``dropout``: the p of every dropout layer that has one. ``seed``: of the
    random streams. ``start``: changes the weights in place, without gradients being recorded.
    """

    rate: float | None = None
    batches: Sequence[int] | None = None
    inputs: Callable[[Call], Call] | None = None
    evaluating: bool = False
    update: Update | None = None
    dropout: float | None = None
    seed: int | None = None
    start: Callable[[Loop], None] | None = None


class Experiment(ABC):
    """Decides what the loop's next steps are; ``name`` is its row in the recording's table ``probe``."""

    name: ClassVar[str]
    numbers_trials: ClassVar[bool] = True  # its losses are filed under the trial's number, else under its rate

    def refusal(self, loop: Loop) -> str | None:
        """Why it makes no sense in this loop, as text that completes "not examined: ..."."""
        return loop.no_rates()

    @abstractmethod
    def begin(self, loop: Loop, steps: int) -> None:
        """Plan for ``steps`` in all; what cannot be had for that is left out."""

    @property
    @abstractmethod
    def setting(self) -> Setting:
        """Of the step that comes now."""

    @abstractmethod
    def after_step(self, loss: float) -> Verdict:
        """A step was made; ``loss`` is the sum of all that backward was called on in it, nan where it was not seen.

        inf also stands for a script that raised.
        """

    def after_backward(self, parameters: Iterable[torch.Tensor]) -> None:  # noqa: B027 - few want to know
        """Backward has run, and has left the gradients of these in ``.grad``; no optimizer has touched them yet."""

    @abstractmethod
    def restart_trial(self) -> None:
        """The trial under way begins again, in another run of the script."""

    def stop(self) -> None:  # noqa: B027 - nothing to do for most
        """No more steps will come."""

    @abstractmethod
    def facts(self, paired: bool) -> dict[str, Any]:
        """The result so far; ``paired``: all trials saw the same batches."""

    @property
    def progress(self) -> tuple[int, int]:
        """Steps made and steps planned."""
        return 0, 0


@dataclass(frozen=True, slots=True)
class Trial:
    """One training from the start: ``steps`` at most, ended early where ``enough`` of its losses so far is True.

    ``setting``: one for all of its steps, or by the number of the step.
    """

    setting: Setting | Callable[[int], Setting]
    steps: int
    enough: Callable[[list[float]], bool] | None = None


Plan = Generator[Trial, list[float], None]


class Planned(Experiment):
    """An experiment whose ``plan`` yields its trials; a loss that is not finite ends the trial that it is in."""

    def __init__(self) -> None:
        self._plan: Plan | None = None
        self._trial: Trial | None = None
        self._losses: list[float] = []
        self._taken = 0
        self._planned = 0

    @abstractmethod
    def plan(self, loop: Loop, steps: int) -> Plan:
        """Yield one trial after the other; sent back are its losses, one per step."""

    def begin(self, loop: Loop, steps: int) -> None:
        """Begin the plan."""
        self._plan, self._planned = self.plan(loop, steps), steps
        self._trial = next(self._plan)

    @property
    def step(self) -> int:
        """The number of the coming step in its trial."""
        return len(self._losses)

    @property
    def setting(self) -> Setting:
        """The trial's."""
        assert self._trial is not None
        chosen = self._trial.setting
        return chosen if isinstance(chosen, Setting) else chosen(len(self._losses))

    def after_step(self, loss: float) -> Verdict:
        """Ask the plan for the next trial once one is over."""
        assert self._trial is not None
        assert self._plan is not None
        self._losses.append(loss)
        self._taken += 1
        trial = self._trial
        over = len(self._losses) >= trial.steps or not math.isfinite(loss)
        if not over and not (trial.enough is not None and trial.enough(self._losses)):
            return "go-on"
        losses, self._losses = self._losses, []
        try:
            self._trial = self._plan.send(losses)
        except StopIteration:
            return "done"
        return "next"

    def restart_trial(self) -> None:
        """From its first step."""
        self._losses = []

    @property
    def progress(self) -> tuple[int, int]:
        """Steps made and planned."""
        return self._taken, max(self._planned, self._taken)
