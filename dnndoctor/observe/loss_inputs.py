"""What each loss is fed: shapes, ranges, labels and residuals, sampled over the watched steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from weakref import ref

import torch

from dnndoctor.findings import Location
from dnndoctor.observe import loss_figures
from dnndoctor.observe.data import kind_of
from dnndoctor.observe.names import operation_name
from dnndoctor.observe.residuals import ENDS, SQUARES, Residual, Residuals
from dnndoctor.observe.source import caller, is_user_class
from dnndoctor.observe.transforms import readable
from dnndoctor.observe.window import Window
from dnndoctor.recording.operations import LOSSES

MOST_PLACES = 24
SAMPLES_PER_STEP = 2  # of one place
MOST_PAIRS = 64
ROWS, COLUMNS = 256, 64
BY_CLASS = frozenset(("cross_entropy", "nll_loss"))
_CASTS = frozenset("float double half to type bfloat16 view reshape unsqueeze squeeze flatten".split())
_SEEN = LOSSES | _CASTS | SQUARES | ENDS | {"sub", "abs"}


@dataclass
class Seen:
    """One call site of a loss; ``pairs`` are copied samples of prediction and target."""

    function: str
    location: Location | None
    built: Location | None
    input_shape: tuple[int, ...]
    target_shape: tuple[int, ...]
    differentiable: tuple[bool, bool]
    target_kind: str
    reduction: str
    ignore_index: int | None
    weighted: bool
    calls: int = 0
    last_step: int = -1
    taken: int = 0
    from_integers: bool = False
    target_is_input: bool = False
    by_hand: bool = False
    pairs: list[tuple[int, torch.Tensor, torch.Tensor]] = field(default_factory=list)


class LossInputs(Window):
    """Watches the calls of known losses, and differences that are squared by hand."""

    name = "loss-inputs"

    def __init__(self, watch: Any) -> None:
        super().__init__(watch)
        self._names: dict[Any, str] = {}
        self._seen: dict[tuple[Any, ...], Seen] = {}
        self._residuals = Residuals(self._pair, self._note_residual)
        self._broadcast: dict[Location | None, Residual] = {}
        self._integers: dict[int, ref[torch.Tensor]] = {}

    def function(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        """A torch function was called."""
        name = self._names.get(func)
        if name is None:
            name = operation_name(func)
            name = name if name in _SEEN else ""
            if len(self._names) < 2000:
                self._names[func] = name
        if not name or not isinstance(result, torch.Tensor) or not torch.is_grad_enabled():
            return
        if name in _CASTS:
            self._note_cast(args, result)
        elif not result.requires_grad:
            return
        elif name in LOSSES:
            self._note_loss(name, args, kwargs)
        elif name == "sub":
            self._residuals.subtracted(args, result)
        elif self._residuals.any:
            self._residuals.follow(name, args, kwargs, result)

    def after_step(self, optimizer: torch.optim.Optimizer) -> None:  # noqa: ARG002
        """Nothing of a step is followed beyond it."""
        self._residuals.forget()
        self._integers.clear()

    def _note_cast(self, args: tuple[Any, ...], result: torch.Tensor) -> None:
        source = args[0] if args else None
        if not isinstance(source, torch.Tensor) or source.requires_grad or not result.is_floating_point():
            return
        known = self._integers.get(id(source))
        if not source.is_floating_point() or (known is not None and known() is source):
            self._integers[id(result)] = ref(result)

    def _note_loss(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        prediction = args[0] if args else kwargs.get("input")
        target = args[1] if len(args) > 1 else kwargs.get("target")
        if not isinstance(prediction, torch.Tensor) or not isinstance(target, torch.Tensor):
            return
        if not readable(prediction) or not readable(target) or prediction.layout is not torch.strided:
            return
        module = self.watch.stack[-1] if self.watch.stack else None
        built = self.watch.modules.location(module) if module is not None and not is_user_class(type(module)) else None
        place = (name, caller(), built)
        seen = self._seen.get(place)
        if seen is None:
            if len(self._seen) >= MOST_PLACES:
                return
            seen = self._seen[place] = _seen(place, prediction, target, args, kwargs)
        seen.calls += 1
        known = self._integers.get(id(target))
        seen.from_integers = seen.from_integers or (known is not None and known() is target)
        self._sample(seen, prediction, target)

    def _sample(self, seen: Seen, prediction: torch.Tensor, target: torch.Tensor) -> None:
        if seen.last_step != self.watch.step:
            seen.last_step, seen.taken = self.watch.step, 0
        if not self.watch.forward.sampling or seen.taken >= SAMPLES_PER_STEP or not prediction.numel():
            return
        seen.taken += 1
        seen.target_is_input = seen.target_is_input or self._is_input(target)
        pair = loss_figures.classes(prediction, target) if seen.function in BY_CLASS else None
        if pair is None:
            pair = loss_figures.entries(prediction, target, ROWS, COLUMNS)
        if pair is not None:
            seen.pairs.append((self.watch.step, *pair))

    def _is_input(self, target: torch.Tensor) -> bool:
        """Whether it is what the model was given, as for an autoencoder."""
        given = [t for args, _ in self.watch.root_inputs.values() for t in args if isinstance(t, torch.Tensor)]
        return any(t.layout is torch.strided and readable(t) and t.data_ptr() == target.data_ptr() for t in given)

    def _pair(self, prediction: torch.Tensor, target: torch.Tensor) -> tuple[Any, bool, bool]:
        """A sample of both, in sampled steps, and where the target comes from."""
        known = self._integers.get(id(target))
        cast = not target.is_floating_point() or (known is not None and known() is target)
        fit = readable(prediction) and readable(target) and prediction.layout is torch.strided and prediction.numel()
        if not self.watch.forward.sampling or not fit:
            return None, False, cast
        return loss_figures.entries(prediction, target, ROWS, COLUMNS), self._is_input(target), cast

    def _note_residual(self, found: Residual) -> None:
        """A loss that is written out."""
        if found.broadcast:
            if len(self._broadcast) < MOST_PLACES:
                self._broadcast.setdefault(found.location, found)
            return
        place = (found.function, found.location, None)
        seen = self._seen.get(place)
        if seen is None:
            if len(self._seen) >= MOST_PLACES or found.prediction_shape != found.target_shape:
                return
            shapes = (found.prediction_shape, found.target_shape)
            seen = Seen(*place, *shapes, (True, False), "float", "mean", None, False, by_hand=True)
            self._seen[place] = seen
        seen.calls += 1
        seen.from_integers = seen.from_integers or found.from_integers
        seen.target_is_input = seen.target_is_input or found.target_is_input
        if found.pair is not None and len(seen.pairs) < MOST_PAIRS:
            seen.pairs.append((self.watch.step, *found.pair))

    def facts(self) -> dict[str, Any] | None:
        """Figures of every place."""
        if not self._seen and not self._broadcast:
            return None
        return {
            "losses": [_facts(each) for each in self._seen.values()],
            "differences": [
                {
                    "location": each.location,
                    "shapes": [list(each.prediction_shape), list(each.target_shape)],
                    "result": list(each.result),
                    "side": each.side,
                }
                for each in self._broadcast.values()
            ],
        }


def _seen(
    place: tuple[Any, ...],
    prediction: torch.Tensor,
    target: torch.Tensor,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Seen:
    name, location, built = place
    ignored = kwargs.get("ignore_index", -100) if name in BY_CLASS else None
    return Seen(
        name,
        location,
        built,
        tuple(prediction.shape),
        tuple(target.shape),
        (prediction.requires_grad, target.requires_grad),
        kind_of(target),
        str(kwargs.get("reduction") or "mean"),
        int(ignored) if ignored is not None else None,
        kwargs.get("weight") is not None or kwargs.get("pos_weight") is not None or len(args) > 2,
    )


def _facts(seen: Seen) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "function": seen.function,
        "location": seen.location,
        "built": seen.built,
        "calls": seen.calls,
        "input_shape": list(seen.input_shape),
        "target_shape": list(seen.target_shape),
        "input_differentiable": seen.differentiable[0],
        "target_differentiable": seen.differentiable[1],
        "target_kind": seen.target_kind,
        "reduction": seen.reduction,
        "ignore_index": seen.ignore_index,
        "weighted": seen.weighted,
        "from_integers": seen.from_integers,
        "by_hand": seen.by_hand,
        "target_is_input": seen.target_is_input,
    }
    pairs = [(step, p.cpu().numpy(), t.cpu().numpy()) for step, p, t in seen.pairs]
    if seen.function in BY_CLASS and seen.target_kind != "float":
        return facts | loss_figures.of_classes(pairs, seen.ignore_index)
    return facts | loss_figures.of_entries(pairs, one_hot_width=_width(seen))


def _width(seen: Seen) -> int:
    """Of a row of targets, where a row is sampled in full; else 0."""
    width = seen.target_shape[1] if len(seen.target_shape) == 2 else 0
    return width if width <= COLUMNS else 0
