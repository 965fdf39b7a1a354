"""What a black box holds, and how it lies on the disk: tensors and plain values, read without executing anything."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from dnndoctor.observe.data import flat_tensors
from dnndoctor.recorder.black_box.fetches import Fetched, plain_indices
from dnndoctor.recorder.black_box.samples import Sample, alike, digest_of, samples
from dnndoctor.recorder.black_box.streams import started

if TYPE_CHECKING:
    from dnndoctor.recorder.black_box.recording import Began, BlackBox

VERSION = 1
KIND = "dnndoctor black box"
MOST_PARAMETERS = 20_000


def told(box: BlackBox, reason: str, step: int, loss: float, weights: bool) -> dict[str, Any]:
    """Everything that is known of ``step`` and those before it."""
    recorder = box.recorder
    began = next((each for each in reversed(box.began_at) if each.step == step), None)
    chosen = _batch_of(step, began, box.fetches.recent)
    notes: list[str] = []
    held: dict[str, Any] = {}
    if weights and recorder.step != step:
        notes.append(
            f"the weights are those of step {recorder.step}: the loss of step {step} arrived after it was made"
        )
    if weights:
        held = _weights(box, notes)
    batch, inputs = _kept(box.fetches.recent[chosen] if chosen is not None else None, began, notes)
    return {
        "kind": KIND,
        "version": VERSION,
        "torch": str(torch.__version__),
        "reason": reason,
        "step": step,
        "weights_step": recorder.step if held else None,
        "loss": loss,
        "recording": recorder.store.path.name,
        "steps": [{**asdict(each.record), "figures": dict(each.figures)} for each in box.steps],
        "batches": [_batch(each, began) for each in box.fetches.recent],
        "chosen": chosen,
        "began": began.streams.plain() if began is not None and began.streams is not None else None,
        "batch": batch,
        "inputs": inputs,
        "parameters": [_parameter(name, each) for name, each in recorder.named[:MOST_PARAMETERS]],
        "memory": _memory(),
        "notes": notes,
        **held,
    }


def write(path: Path, content: Mapping[str, Any]) -> None:
    """As a whole or not at all. Raises OSError or RuntimeError."""
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        torch.save(dict(content), beside)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def _batch_of(step: int, began: Began | None, recent: Iterable[Fetched]) -> int | None:
    """Which of them the step was made with: what the model was called with, else the last that was given by then."""
    listed = list(recent)
    if began is not None:
        same = [at for at, each in enumerate(listed) if alike(each.samples, began.samples)]
        if same:
            return same[-1]
    until = [at for at, each in enumerate(listed) if each.step <= step]
    return until[-1] if until else None


def _batch(one: Fetched, began: Began | None) -> dict[str, Any]:
    return {
        "step": one.step,
        "indices": plain_indices(one.indices),
        "digest": digest_of(one.samples) if one.samples else None,
        "before": one.before.plain() if one.before is not None else None,
        "after": one.after.plain() if one.after is not None else None,
        "called_with": began is not None and alike(one.samples, began.samples),
    }


def _kept(chosen: Fetched | None, began: Began | None, notes: list[str]) -> tuple[Any, Any]:
    """The batch as the loader gave it and the inputs of the model, if they are still what they were then."""
    batch = _unchanged("batch", chosen.batch, chosen.samples, notes) if chosen is not None else None
    inputs = _unchanged("input of the model", began.inputs, began.samples, notes) if began is not None else None
    return batch, inputs


def _unchanged(name: str, value: Any, before: tuple[Sample, ...], notes: list[str]) -> Any:
    if value is None:
        return None
    if before and digest_of(samples(value)) != digest_of(before):
        notes.append(f"the {name} is left out: the program has changed it in place since")
        return None
    return plain(value)


def plain(value: Any) -> Any:
    """Tensors on the host, numbers and text in tuples, lists and dicts; anything else by its tensors."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, torch.Tensor):
        local = value.to_local() if hasattr(value, "to_local") else value
        return local.detach().as_subclass(torch.Tensor).cpu().clone()
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items() if isinstance(key, (str, int))}
    if isinstance(value, tuple):
        return tuple(plain(each) for each in value)
    if isinstance(value, list):
        return [plain(each) for each in value]
    return [plain(each) for each in flat_tensors(value)]


def _weights(box: BlackBox, notes: list[str]) -> dict[str, Any]:
    """Parameters, buffers and the state of the optimizer that leads, where they are not too large."""
    recorder = box.recorder
    assert recorder.lead is not None
    buffers = {name: each for root in recorder.roots for name, each in root.named_buffers()}
    state = recorder.lead.state_dict()
    tensors = [each for _, each in recorder.named] + list(buffers.values()) + flat_tensors(state, 8)
    size = sum(each.numel() * each.element_size() for each in tensors if not each.is_meta)
    limit = recorder.store.limit_bytes
    if size > limit:
        notes.append(f"the weights are left out: {size / 1e6:.0f} MB, of which a box may hold {limit / 1e6:.0f} MB")
        return {}
    return {
        "weights": {name: plain(each) for name, each in recorder.named},
        "buffers": {name: plain(each) for name, each in buffers.items()},
        "optimizer": plain(state),
    }


def _parameter(name: str, parameter: torch.Tensor) -> dict[str, Any]:
    """How it and its gradient are: norms, and how many of their entries are not finite."""
    row: dict[str, Any] = {"name": name, "shape": list(parameter.shape)}
    for kind, each in (("weight", parameter.detach()), ("gradient", parameter.grad)):
        if each is None:
            continue
        local: torch.Tensor = each.to_local() if hasattr(each, "to_local") else each
        if local.is_meta or local.is_sparse or not local.is_floating_point():
            continue
        row[f"{kind}_norm"] = float(torch.linalg.vector_norm(local.detach(), dtype=torch.float32))
        row[f"{kind}_not_finite"] = int((~torch.isfinite(local.detach())).sum())
    return row


def _memory() -> dict[str, int]:
    if not started():
        return {}
    found = torch.cuda.memory_stats()
    return {key: int(found[key]) for key in ("allocated_bytes.all.peak", "reserved_bytes.all.peak") if key in found}
