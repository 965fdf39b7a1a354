"""The step border of updates that the user's own code makes: from a backward pass to the next use of a parameter."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from dnndoctor.observe.by_hand import is_look, is_update
from dnndoctor.observe.source import caller

if TYPE_CHECKING:
    from dnndoctor.probes.conductor import Conductor


class HandBorder:
    """Tells the conductor of steps that no hook tells of."""

    def __init__(self, conductor: Conductor) -> None:
        self._conductor = conductor
        self._watch = conductor.watch

    def drop(self) -> None:
        """An optimizer steps: what changes the parameters now is no update by hand."""
        self._watch.by_hand.pending = False
        self._watch.forward.before_use = None

    def after_backward(self, roots: list[torch.Tensor]) -> None:
        """Backward has run on ``roots``, and no optimizer steps: an update may follow."""
        if self._watch.may_be_by_hand:
            self._await(None, roots)

    def after_gradients(
        self, value: torch.Tensor | None, inputs: list[torch.Tensor], gradients: list[torch.Tensor | None]
    ) -> None:
        """Gradients of ``value`` were handed out (``torch.autograd.grad``, ``torch.func.grad``)."""
        pairs = {p: g for p, g in zip(inputs, gradients, strict=True) if g is not None}
        if len(pairs) < len(inputs):
            return
        watch = self._watch
        if watch.by_hand.replaces(inputs):
            watch.replace_parameters(inputs)
            self.close()
        if value is not None:
            self._conductor.on_backward([value.detach()])
            watch.before_backward([value])
        watch.after_backward([] if value is None else [value])
        self._await(pairs, [])
        watch.by_hand.forward = watch.forward.put_aside()

    def _await(self, gradients: dict[torch.Tensor, torch.Tensor] | None, roots: list[torch.Tensor]) -> None:
        hand, trials = self._watch.by_hand, self._conductor.trials
        hand.note(gradients, roots)
        if not hand.pending:
            return
        assert hand.optimizer is not None
        trials.keep_start(hand.optimizer)
        if trials.running:
            hand.keep()
        self._watch.forward.before_use = self._use
        self._watch.look()

    def _use(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        """Called before every operation until the parameters are used again: where they are updated, and when."""
        watch, hand = self._watch, self._watch.by_hand
        used = hand.touched(args)
        if used is None or watch.inside_backward or threading.get_ident() != watch.thread:
            return
        watch.forward.before_use = None
        try:
            if is_update(function, args[0] is used):
                hand.begin_update()
                hand.location = hand.location or caller()
            elif torch.is_grad_enabled() and not is_look(function):
                self.close()
        except Exception as bug:  # noqa: BLE001 - it is told in the report
            watch.fail(bug)
        if hand.pending:
            watch.forward.before_use = self._use

    def close(self) -> None:
        """The parameters are used again, or a batch is asked for: if they have changed, a step lies behind."""
        watch, hand, trials = self._watch, self._watch.by_hand, self._conductor.trials
        if not hand.pending:
            return
        watch.forward.before_use = None
        if not hand.changed():
            return  # gradients pile up, or nobody trains
        self._conductor.clock.first_step()
        if trials.running:
            trials.after_update_by_hand()
            self._conductor.settle(within_step=True)
        elif watch.observing:
            hand.measure_rate()
            watch.step_by_hand()
            self._conductor.after_lead_step()
        self._conductor.look_at_the_clock()
