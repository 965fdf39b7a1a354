"""The training loop: steps, passes, and the order of its calls."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dnndoctor.findings import Location


@dataclass(frozen=True, slots=True)
class Steps:
    """The user's own steps at their own rate. All arrays [n]; ``data_seconds`` and ``compute_seconds`` per step.

    ``loss`` is the sum of what backward was called on since the step before. ``expected_loss`` says that the
    loss may be judged: not a GAN's, not a reinforcement learner's.
    """

    step: NDArray[np.int64]
    loss: NDArray[np.float64]
    learning_rate: NDArray[np.float64]
    data_seconds: NDArray[np.float64]
    compute_seconds: NDArray[np.float64]
    location: Location | None = None


@dataclass(frozen=True, slots=True)
class Mode:
    """Passes of one model from one place in the source, in one mode.

    ``purpose``: "training" (a backward and a step followed) or "evaluation" (gradients off, or no backward
    followed, or a loader that no step is made on). ``training_mode``: the model's ``training`` flag; ``active``
    and ``inactive`` name dropout and batch-norm modules that were in train and in eval mode then.
    ``trainable``: at least one parameter of the model is in an optimizer. ``same_input``: passes were repeated on
    one and the same batch (Monte-Carlo dropout). ``training_data``: the batches were from the training loader.
    ``gradients``: gradients were enabled. ``inactive_trained``: of the inactive modules, those whose own or
    whose siblings' parameters an optimizer changes.
    """

    model: str
    purpose: str
    passes: int
    training_mode: bool
    location: Location | None
    gradients: bool = True
    active: tuple[str, ...] = ()
    inactive: tuple[str, ...] = ()
    inactive_trained: tuple[str, ...] = ()
    trainable: bool = True
    same_input: bool = False
    training_data: bool = False
    eval_location: Location | None = None


@dataclass(frozen=True, slots=True)
class Modes:
    """All kinds of passes that were seen; ``mode_layers``: the model holds dropout or batch norm at all.

    ``functional``: either of them is called as a function, outside of such a layer.
    """

    passes: tuple[Mode, ...]
    mode_layers: bool
    functional: bool = False

    def purpose(self, purpose: str) -> tuple[Mode, ...]:
        """The passes of that purpose."""
        return tuple(each for each in self.passes if each.purpose == purpose)


@dataclass(frozen=True, slots=True)
class Clearing:
    """How one optimizer's gradients are cleared.

    ``intervals``: steps of it that had a backward between them; ``uncleared``: those in which no backward
    found its gradients cleared; ``empty``: steps at which all its gradients were None or zero although a
    backward had run since the last step and had left some other than zero. ``backwards``: passes per step
    (median). ``zero_location``: the ``zero_grad`` call. ``variable``: what the line that steps it calls it, "" where
    that is no name. ``callers``: the lines that were running as the first backward pass was called, innermost first.
    """

    optimizer: str
    intervals: int
    uncleared: int
    empty: int
    backwards: int
    location: Location | None = None
    step_location: Location | None = None
    backward_location: Location | None = None
    zero_location: Location | None = None
    variable: str = ""
    callers: tuple[Location, ...] = ()


@dataclass(frozen=True, slots=True)
class Clearings:
    """One record per optimizer."""

    optimizers: tuple[Clearing, ...]

    @property
    def training(self) -> tuple[Location, ...]:
        """Lines that a statement or loop must not hold if it is no part of training: callers, backward and step."""
        places = [at for each in self.optimizers for at in (*each.callers, each.backward_location, each.step_location)]
        return tuple(dict.fromkeys(at for at in places if at is not None))
