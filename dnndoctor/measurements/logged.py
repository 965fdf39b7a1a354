"""What a whole run logged: its curves, the moment at which it went wrong, and what moved around then."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dnndoctor.findings import Location


@dataclass(frozen=True, slots=True)
class Curve:
    """One logged quantity over the run. Arrays are [points], in the order of ``step``.

    ``role``: "loss", "validation loss", "learning rate", "gradient norm" or "other". ``time``: seconds, nan where not
    logged. ``line``: of ``file``, 0 where it has no lines.
    """

    name: str
    role: str
    step: NDArray[np.float64]
    value: NDArray[np.float64]
    time: NDArray[np.float64]
    line: NDArray[np.int64]
    file: str = ""

    def place(self, at: int) -> Location | None:
        """The line of the log that holds this point."""
        return Location(self.file, int(self.line[at])) if self.file and self.line[at] > 0 else None

    def before(self, step: float) -> int:
        """The index of the last point before ``step``; -1 if there is none."""
        return int(np.searchsorted(self.step, step, "left")) - 1


@dataclass(frozen=True, slots=True)
class Turn:
    """Where a curve went wrong. ``at``: index of the first point that is; ``last``: of the last one that is.

    ``kind``: "non-finite", "risen" (and not come back by the end) or "jump" (that came back). ``before``: its level
    until then; ``after``: its median from there to ``last``, nan for "non-finite"; ``end``: its level at the end.
    """

    kind: str
    at: int
    last: int
    step: float
    before: float
    after: float
    end: float


@dataclass(frozen=True, slots=True)
class Moved:
    """A quantity that left its level around the time at which the loss went wrong, and when."""

    name: str
    role: str
    step: float
    before: float
    after: float
    place: Location | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """A checkpoint on disk. ``step``: of the run, nan where nothing says so. ``sound``: None where it was not read."""

    path: str
    step: float
    sound: bool | None = None


@dataclass(frozen=True, slots=True)
class Course:
    """The whole run as it was logged.

    ``unit``: what ``step`` counts: "step", "epoch" or "point" (of the log, where neither is told). ``turns``: of the
    training loss, in order. ``moved``: first to last. ``checkpoints``: in the order of their steps. ``exception``:
    what ended the program, with its message.
    """

    unit: str
    curves: tuple[Curve, ...]
    turns: tuple[Turn, ...] = ()
    moved: tuple[Moved, ...] = ()
    checkpoints: tuple[Kept, ...] = ()
    exception: str | None = None
    exception_message: str = ""
    exception_place: Location | None = field(default=None)

    def curve(self, role: str) -> Curve | None:
        """The main curve of that role."""
        return next((each for each in self.curves if each.role == role), None)

    @property
    def loss(self) -> Curve | None:
        """The training loss."""
        return self.curve("loss")

    @property
    def lasting(self) -> Turn | None:
        """The turn from which the loss did not come back."""
        return next((each for each in self.turns if each.kind != "jump"), None)

    @property
    def worst(self) -> Turn | None:
        """The turn that lasted, else the first jump."""
        return self.lasting or (self.turns[0] if self.turns else None)

    @property
    def last_step(self) -> float:
        """The last step that anything was logged at."""
        return max((float(each.step[-1]) for each in self.curves if len(each.step)), default=0.0)

    def resume(self, step: float) -> Kept | None:
        """The last checkpoint before ``step`` that is not known to be broken."""
        usable = [each for each in self.checkpoints if each.step < step and each.sound is not False]
        return max(usable, key=lambda each: each.step, default=None)

    def at(self, step: float) -> str:
        """ "step 1,230", "epoch 14" or "point 30 of the log"."""
        number = f"{step:,.0f}" if self.unit != "epoch" or step == round(step) else f"{step:.2f}"
        return f"point {number} of the log" if self.unit == "point" else f"{self.unit} {number}"
