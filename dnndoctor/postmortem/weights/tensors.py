"""The tensors of a checkpoint by name, one at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch

from dnndoctor.postmortem.log import Unreadable
from dnndoctor.postmortem.weights.distributed import pieces_of
from dnndoctor.postmortem.weights.guard import check, files_of

DEEPEST = 6
MOST_TENSORS = 100_000
NO_MODEL = re.compile(r"optim|sched|scaler|rng|random|callback|loops|hyper|config|args|ema|grad", re.IGNORECASE)
STEPS = ("global_step", "step", "steps", "iter_num", "iteration", "iter", "it")
EPOCHS = ("epoch", "epochs")


class Source(Protocol):
    """Something that gives a tensor for a name."""

    def get(self, name: str) -> torch.Tensor:
        """The tensor, on the CPU."""


@dataclass(slots=True)
class Checkpoint:
    """``sources`` by the names of the model's tensors; ``facts``: step, epoch, rates and counts that it tells."""

    path: Path
    sources: dict[str, Source] = field(default_factory=dict)
    facts: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def tensor(self, name: str) -> torch.Tensor | None:
        """The tensor of that name; None where there is none, or one whose entries cannot be counted on."""
        source = self.sources.get(name)
        if source is None:
            return None
        tensor = source.get(name)
        plain = tensor.layout is torch.strided and not tensor.is_quantized and tensor.device.type == "cpu"
        # One number spread over a shape of any size takes no room in the file, and any time to look at.
        if not plain or tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            return None
        return tensor if tensor.is_floating_point() else None


def read(path: Path) -> Checkpoint:
    """A checkpoint of any layout.

    Raises Unreadable with one line.
    """
    found = Checkpoint(path)
    for file in [path] if path.is_dir() else files_of(path):
        if file.is_dir():
            _pieces(file, found)
        elif file.suffix == ".safetensors":
            _safetensors(file, found)
        else:
            _torch(file, found)
    if not found.sources:
        raise Unreadable(f"{path}: holds no weights of a model")
    return found


@dataclass(slots=True)
class _Loaded:
    tensors: dict[str, torch.Tensor]

    def get(self, name: str) -> torch.Tensor:
        return self.tensors[name]


@dataclass(slots=True)
class _Mapped:
    handle: Any

    def get(self, name: str) -> torch.Tensor:
        tensor: torch.Tensor = self.handle.get_tensor(name)
        return tensor


def _safetensors(file: Path, found: Checkpoint) -> None:
    try:
        from safetensors import safe_open
    except ImportError:
        raise Unreadable(f"{file}: reading it takes: pip install safetensors") from None
    try:
        handle = safe_open(str(file), framework="pt", device="cpu")
        names = list(handle.keys())  # type: ignore[no-untyped-call]
    except Exception as why:  # noqa: BLE001 - the library's own error has no stable type
        raise Unreadable(f"{file}: is no safetensors file, or was cut off ({_short(why)})") from None
    source = _Mapped(handle)
    found.sources |= dict.fromkeys(names[:MOST_TENSORS], source)


def _torch(file: Path, found: Checkpoint) -> None:
    mapped = check(file)
    try:
        loaded = torch.load(file, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as why:  # noqa: BLE001 - whatever torch makes of bytes that are none of its own
        raise Unreadable(_refused(file, str(why))) from None
    _facts(loaded, found)
    tensors = dict(_named(loaded))
    source = _Loaded(tensors)
    found.sources |= dict.fromkeys(tensors, source)


def _pieces(folder: Path, found: Checkpoint) -> None:
    source = pieces_of(folder)
    names = [each for each in source.sizes if not NO_MODEL.search(each.partition(".")[0])]
    found.sources |= dict.fromkeys(names[:MOST_TENSORS], source)
    told = {each: source.value(each) for each in source.values if each in STEPS or each in EPOCHS}
    _facts(told, found)


def _refused(file: Path, why: str) -> str:
    wanted = re.search(r"GLOBAL ([\w.]+)", why)
    if wanted:
        return (
            f"{file}: loading it would run code ({wanted[1][:80]}), so it is refused; where you trust it, keep its "
            "weights only: torch.save(torch.load(path, weights_only=False)['state_dict'], new)"
        )
    said = why.partition("WeightsUnpickler error: ")[2] or why
    return f"{file}: is no checkpoint that can be read safely, or was cut off ({_short(said)})"


def _short(why: object) -> str:
    return " ".join(str(why).split())[:100].rstrip(".")


def _facts(loaded: Any, found: Checkpoint) -> None:
    if not isinstance(loaded, Mapping):
        return
    for kind, names in (("step", STEPS), ("epoch", EPOCHS)):
        for name in names:
            value = loaded.get(name)
            if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e15:
                found.facts.setdefault(kind, float(value))
    for key, value in loaded.items():
        if "optim" in str(key).lower():
            _optimizer(value[0] if isinstance(value, list) and value else value, found)


def _optimizer(state: Any, found: Checkpoint) -> None:
    groups = state.get("param_groups") if isinstance(state, Mapping) else None
    if not isinstance(groups, list) or not all(isinstance(each, Mapping) for each in groups):
        return
    rates = [float(each["lr"]) for each in groups if isinstance(each.get("lr"), int | float)]
    held = sum(len(each["params"]) for each in groups if isinstance(each.get("params"), list))
    found.facts |= {"held": float(held)} | ({"learning_rate": max(rates)} if rates else {})


def _named(loaded: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """The model's tensors: of the first of the usual places that has any, else of all that is no optimizer's."""
    if isinstance(loaded, Mapping):
        for key in ("state_dict", "model_state_dict", "model", "net", "network", "module", "params"):
            part = loaded.get(key)
            if isinstance(part, Mapping) and (tensors := list(_walk(part, "", 0))):
                yield from tensors[:MOST_TENSORS]
                return
    if isinstance(loaded, torch.Tensor):
        yield "tensor", loaded
        return
    yield from list(_walk(loaded, "", 0))[:MOST_TENSORS]


def _walk(part: Any, prefix: str, depth: int) -> Iterator[tuple[str, torch.Tensor]]:
    if depth > DEEPEST:
        return
    items = part.items() if isinstance(part, Mapping) else enumerate(part) if isinstance(part, list | tuple) else ()
    for key, value in items:
        name = f"{prefix}{key}"
        if isinstance(value, torch.Tensor):
            yield name, value.detach()
        elif isinstance(value, Mapping | list | tuple) and not (depth == 0 and NO_MODEL.search(str(key))):
            yield from _walk(value, f"{name}.", depth + 1)
