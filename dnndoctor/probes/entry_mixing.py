"""Entry mixing and future leak: which outputs of the model change when one sample, or a later step, is another one.

One sample of the recorded batch is put in the place of another, in evaluation mode and with the same random draws;
no output but its own may then change. In training on the next token the last step is put in another's place; no
output before it may then change. What a change goes through is looked at only where one went too far.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_leaves
from torch.utils.data import SequentialSampler, default_collate

from dnndoctor.findings import Location
from dnndoctor.observe.layer_templates import LayerTemplates
from dnndoctor.observe.loaders import batch_size_of, order_of
from dnndoctor.observe.next_step import NextStep, Shift
from dnndoctor.observe.watch import Watch
from dnndoctor.probes.quiet_call import QuietCall, calls_of, changed
from dnndoctor.probes.room import Room
from dnndoctor.probes.spreading import Called, Spread, Trace, differs

MOST_MODELS = 3
FEWEST = 3  # samples or steps
TRIED = 3  # samples that are put in another's place
DRAWN = 64  # samples whose changes are kept for the report
_RECURRENT = frozenset(("lstm", "gru", "rnn_tanh", "rnn_relu"))
_ATTENTION = frozenset(("scaled_dot_product_attention", "multi_head_attention_forward"))
_NORMALIZING = frozenset(("softmax", "log_softmax", "softmin", "gumbel_softmax", "normalize"))
_LAYERS = frozenset(("linear", "conv1d", "conv2d", "conv3d"))
_KINDS = {"recurrent": _RECURRENT, "attention": _ATTENTION, "normalizing": _NORMALIZING, "layer": _LAYERS}
_AT_A_STEP = _RECURRENT | _ATTENTION | _NORMALIZING | _LAYERS | {"flip", "mean", "cumsum", "avg_pool1d", "max_pool1d"}


def measure(watch: Watch, room: Room) -> None:
    """Record for every model that was trained whether its outputs keep to their own sample and to the past."""
    facts: dict[str, Any] = {"models": []}
    deadline, reason = room.deadline, "no call of a model was seen"
    for module, call in calls_of(watch, MOST_MODELS):
        one = {"model": watch.modules.path(module) or type(module).__name__}
        try:
            one |= _Model(watch, module, call).facts()
        except Exception as why:  # noqa: BLE001 - the model's own refusal of other samples; told as the reason
            reason = f"{type(module).__name__} does not take its samples in another order: {type(why).__name__}"
            continue
        if "missing" in one:
            reason = str(one["missing"])
            continue
        facts["models"].append(one)
        if time.perf_counter() > deadline:
            break
    if not facts["models"]:
        facts = {"missing": reason}
    watch.writer.put("probe", {"name": "entry-mixing", "facts": facts})


@dataclass(frozen=True)
class Mixed:
    """What one exchanged sample did to the others; ``effect``: largest change of theirs over that of its own.

    ``changes``: of every sample's output over its own, of the first few.
    """

    sample: int
    effect: float
    others: int
    changes: tuple[float, ...] = ()


class _Model:
    """One model and its recorded call."""

    def __init__(self, watch: Watch, module: nn.Module, call: Any) -> None:
        self._watch, self._module, self._quiet = watch, module, QuietCall(module, call)

    def facts(self) -> dict[str, Any]:
        """What was found of it; "missing" with the reason where nothing can be told."""
        outputs, same = self._quiet.repeats()
        if not same:
            return {"missing": "the model gives other outputs for the same inputs"}
        inputs = self._quiet.inputs
        first = next((each for each in inputs if each.dim() and each.shape[0] >= FEWEST), None)
        found: dict[str, Any] = {}
        if first is not None:
            entries = int(first.shape[0])
            mine = [each for each in outputs if each.shape[0] and each.shape[0] % entries == 0]
            if mine:
                found["mixing"] = self._mixing(first, entries, outputs)
        leak = self._leak(outputs)
        if leak is not None:
            found["leak"] = leak
        return found or {"missing": "no output has as many entries as the batch, or the batch is too small"}

    # samples

    def _mixing(self, first: torch.Tensor, entries: int, outputs: list[torch.Tensor]) -> dict[str, Any]:
        found: dict[str, Any] = {"entries": entries, "tried": 0, "effect": 0.0, "changes": []}
        worst: Mixed | None = None
        for sample in dict.fromkeys((0, entries // 3, entries - 1)):
            inputs = self._exchanged(first, entries, sample)
            mixed = _beyond(outputs, self._quiet(inputs), entries, sample)
            found["tried"] += 1
            found["changes"].append((sample, mixed.changes))
            if worst is None or mixed.effect > worst.effect:
                worst = mixed
        assert worst is not None
        found |= {"effect": worst.effect, "others": worst.others, "sample": worst.sample}
        if worst.others:
            found |= self._batch(first, entries)
            found["clean_elsewhere"] = self._clean_elsewhere(first, outputs)
            found |= self._culprit(first, entries, worst.sample)
        return found

    def _exchanged(self, first: torch.Tensor, entries: int, sample: int) -> list[torch.Tensor]:
        """Another sample, the most different one, in this one's place, in all that has as many entries."""
        rows = first.reshape(entries, -1)
        unlike = (rows != rows[sample]).float().mean(1)
        other = int(unlike.argmax())

        def place(tensor: torch.Tensor) -> torch.Tensor | None:
            if not tensor.dim() or tensor.shape[0] != entries:
                return None
            tensor = tensor.clone()
            tensor[sample] = tensor[other].clone()
            return tensor

        return changed(self._quiet.inputs, place)

    def _clean_elsewhere(self, first: torch.Tensor, outputs: list[torch.Tensor]) -> bool:
        """Whether entries along another axis of the input keep to themselves: then that one may be the batch."""
        if self._says_second_axis(first):
            return True
        return any(
            all(self._keeps_apart(first, outputs, axis, each) for each in {size // 2, size - 1})
            for axis in range(1, min(first.dim(), 3))
            if (size := int(first.shape[axis])) > 1
        )

    def _keeps_apart(self, first: torch.Tensor, outputs: list[torch.Tensor], axis: int, here: int) -> bool:
        size = int(first.shape[axis])

        def place(tensor: torch.Tensor) -> torch.Tensor | None:
            if not _has(tensor, axis, size):
                return None
            turned = tensor.movedim(axis, 0).clone()
            turned[here] = _replaced(turned, here, 0)
            return turned.movedim(0, axis)

        return _keeps(outputs, self._quiet(changed(self._quiet.inputs, place)), (int(first.shape[0]), size), here)

    def _says_second_axis(self, first: torch.Tensor) -> bool:
        """A recurrent state (layers, batch, features) beside it, or targets one step on along the first axis, do."""
        shift = self._shift()
        if shift is not None and shift.axis == 0 and self._quiet.inputs[shift.input] is first:
            return True
        sizes = first.shape[:2]
        states = [each for each in self._quiet.inputs if each.dim() == 3 and each is not first]
        return len(sizes) == 2 and sizes[0] != sizes[1] and any(s.shape[1] == sizes[1] != s.shape[0] for s in states)

    def _batch(self, first: torch.Tensor, entries: int) -> dict[str, Any]:
        """Whether the first axis is the batch for certain: a training loader stacked the samples along it."""
        shape = list(first.shape)
        for each in self._watch.loaders.training():
            size, sampler = batch_size_of(each.loader), order_of(each.loader)
            if size is None or entries > size:
                continue
            plain = getattr(each.loader, "collate_fn", None) is default_collate
            tensors = [t for batch in each.kept for t in tree_leaves(batch) if isinstance(t, torch.Tensor)]
            as_given = plain and any(t.shape == first.shape and bool((t == first.to(t.device)).all()) for t in tensors)
            stacked = plain and entries == size and shape.count(entries) == 1
            if as_given or stacked:
                return {"loaded": True, "shuffled": not isinstance(sampler, SequentialSampler), "shape": shape}
        shift = self._shift()
        steps_behind = shift is not None and shift.axis == 1 and self._quiet.inputs[shift.input] is first
        return {"loaded": steps_behind, "shuffled": False, "shape": shape}

    def _culprit(self, first: torch.Tensor, entries: int, sample: int) -> dict[str, Any]:
        spread = self._spread(self._exchanged(first, entries, sample), 1 / entries)
        torn = spread.torn(entries)
        if torn is not None:
            return {"kind": "view", "operation": torn.name, "location": torn.location}
        one = spread.first()
        return {"kind": "unknown"} if one is None else self._described(one)

    def _spread(self, inputs: list[torch.Tensor], share: float) -> Spread:
        before, after = Trace(), Trace()
        with before.running():
            self._quiet()
        with after.running():
            self._quiet(inputs)
        return Spread(before, after, share)

    def _described(self, one: Called) -> dict[str, Any]:
        kind = next((kind for kind, names in _KINDS.items() if one.name in names), "other")
        facts: dict[str, Any] = {"kind": kind, "operation": one.name, "location": one.location}
        holder = next((m for m in reversed(one.modules) if isinstance(getattr(m, "batch_first", None), bool)), None)
        if holder is not None and kind in ("recurrent", "attention"):
            modules = self._watch.modules
            facts |= {"layer": modules.path(holder), "layer_class": type(holder).__name__}
            facts |= {"batch_first": holder.batch_first, "layer_location": self._built(one)}
        shape = one.inputs[0] if one.inputs else ()
        batch_first = one.name == "scaled_dot_product_attention"
        batch_first = batch_first or (bool(facts.get("batch_first")) and kind == "recurrent")
        facts["alone"] = len(shape) < 3 or shape[0 if batch_first else 1] == 1
        return facts

    def _built(self, one: Called) -> Location | None:
        """The line that builds the layer; of a copied transformer layer, the line of what was copied."""
        templates = next((each for each in self._watch.windows.all if isinstance(each, LayerTemplates)), None)
        places = [templates.of(each) for each in reversed(one.modules)] if templates is not None else []
        holder = next(m for m in reversed(one.modules) if isinstance(getattr(m, "batch_first", None), bool))
        return next((each for each in places if each is not None), None) or self._watch.modules.location(holder)

    # steps of a sequence

    def _shift(self) -> Shift | None:
        window = next((each for each in self._watch.windows.all if isinstance(each, NextStep)), None)
        shift = window.of(self._module) if window is not None else None
        return shift if shift is not None and shift.input < len(self._quiet.inputs) else None

    def _leak(self, outputs: list[torch.Tensor]) -> dict[str, Any] | None:
        shift = self._shift()
        if shift is None:
            return None
        tokens = self._quiet.inputs[shift.input]
        if tokens.dim() < 2 or tokens.shape[shift.axis] < FEWEST:
            return None
        steps = int(tokens.shape[shift.axis])
        turned = tokens.movedim(shift.axis, 0).clone()
        turned[-1] = _unlike(turned)
        inputs = [
            turned.movedim(0, shift.axis) if number == shift.input else each
            for number, each in enumerate(self._quiet.inputs)
        ]
        before = _earlier(outputs, self._quiet(inputs), tokens, shift.axis)
        if before is None:
            return None
        facts: dict[str, Any] = {"steps": steps, "equal": shift.equal, "compared": shift.compared, "effect": before}
        if before > 0:
            one = _first_early(self._spread(inputs, 1 / steps), steps)
            facts |= {} if one is None else self._described(one)
        return facts


def _unlike(turned: torch.Tensor) -> torch.Tensor:
    """Values for the last step that stand elsewhere in the sequences: those of the step that differs in most."""
    last = turned[-1]
    differ = [float((each != last).float().mean()) for each in turned[:-1]]
    return turned[max(range(len(differ)), key=differ.__getitem__)].clone()


def _replaced(turned: torch.Tensor, here: int, other: int) -> torch.Tensor:
    """Another entry's values, or its own in another order where all entries are alike."""
    return (turned[here].flip(0) if bool((turned[here] == turned[other]).all()) else turned[other]).clone()


def _has(tensor: torch.Tensor, axis: int, size: int) -> bool:
    return tensor.dim() > axis and tensor.shape[axis] == size


def _beyond(before: list[torch.Tensor], after: list[torch.Tensor], entries: int, sample: int) -> Mixed:
    """How much the outputs of other samples than this one changed, the output that changed most."""
    worst = Mixed(sample, 0.0, 0, _alone(sample, entries))
    for one, other in zip(before, after, strict=True):
        if not one.shape[0] or one.shape[0] % entries or one.shape != other.shape:
            continue
        gap = (one - other).abs().nan_to_num().reshape(entries, -1)
        rows = differs(one, other).reshape(entries, -1).any(1)
        own = float(gap[sample].max())
        rows[sample] = False
        gap[sample] = 0.0
        effect = float(gap.max()) / own if own else float(bool(rows.any()))
        if bool(rows.any()) and effect > worst.effect:
            shares = gap.amax(1) / own if own else rows.to(gap.dtype)
            shares[sample] = 1.0
            worst = Mixed(sample, effect, int(rows.sum()), tuple(float(f"{v:.3g}") for v in shares[:DRAWN].tolist()))
    return worst


def _alone(sample: int, entries: int) -> tuple[float, ...]:
    """Nothing but its own output changed."""
    return tuple(float(i == sample) for i in range(min(entries, DRAWN)))


def _keeps(before: list[torch.Tensor], after: list[torch.Tensor], sizes: tuple[int, int], index: int) -> bool:
    """Whether nothing changed but at this index of some axis of that size, in every output.

    Where nothing changes at all nothing can be told, and it may well be so.
    """
    for one, other in zip(before, after, strict=True):
        mask = differs(one, other)
        if not bool(mask.any()):
            continue
        if not any(_only(each, axis, index) for each in _ways(mask, sizes) for axis in _axes(each, sizes[1])):
            return False
    return True


def _ways(mask: torch.Tensor, sizes: tuple[int, int]) -> Iterator[torch.Tensor]:
    """As it is, and with a first axis of samples times steps taken apart."""
    yield mask
    if mask.shape[0] == sizes[0] * sizes[1]:
        yield mask.reshape(*sizes, *mask.shape[1:])


def _axes(mask: torch.Tensor, size: int) -> list[int]:
    return [axis for axis, each in enumerate(mask.shape) if each == size]


def _only(mask: torch.Tensor, axis: int, index: int) -> bool:
    turned = mask.movedim(axis, 0).clone()
    turned[index] = False
    return not bool(turned.any())


def _earlier(before: list[torch.Tensor], after: list[torch.Tensor], tokens: torch.Tensor, axis: int) -> float | None:
    """The largest change before the last step over the largest one of all; None where no output has the steps."""
    sizes = (int(tokens.shape[0]), int(tokens.shape[1]))
    steps = sizes[axis]
    found: list[float] = []
    for one, other in zip(before, after, strict=True):
        gap = (one - other).abs().nan_to_num()
        mask = differs(one, other)
        early = []
        for each, size in zip(_ways(mask, sizes), _ways(gap, sizes), strict=True):
            for place in _axes(each, steps):
                turned, sized = each.movedim(place, 0)[:-1], size.movedim(place, 0)[:-1]
                early.append(float(sized.max()) if bool(turned.any()) else 0.0)
        if early:
            found.append(min(early) / max(float(gap.max()), 1e-30))
    return max(found) if found else None


def _first_early(spread: Spread, steps: int) -> Called | None:
    """The first operation in whose output steps before the last changed, whichever axis the steps are."""
    for one, masks in zip(spread.calls, spread.masks, strict=True):
        if not masks or one.name not in _AT_A_STEP:
            continue
        mask = masks[0]
        axes = _axes(mask, steps)
        if axes and all(bool(mask.movedim(axis, 0)[:-1].any()) for axis in axes):
            return one
    return None
