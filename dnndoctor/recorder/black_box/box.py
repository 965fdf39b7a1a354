"""A black box that was written: what it tells, and how its step is made again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim.optimizer import Optimizer
from torch.utils.data import default_collate

from dnndoctor.recorder.black_box import streams
from dnndoctor.recorder.black_box.contents import KIND, VERSION
from dnndoctor.recorder.roots import named_parameters
from dnndoctor.workspace import BadInput

WRAPPERS = ("module.", "_orig_mod.", "_fsdp_wrapped_module.")


@dataclass(frozen=True, slots=True)
class Step:
    """A recent step; what was not measured in it is nan. ``figures``: of layers, where they were looked at."""

    step: int
    time: float
    loss: float
    learning_rate: float
    grad_norm: float
    data_seconds: float
    compute_seconds: float
    batch_size: int
    figures: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch of the last ones, in the order in which loaders gave them. ``step``: that ran then.

    ``indices``: of its samples in the dataset, None where the loader has none. ``digest``: as ``black_box.digest`` of
    it, None where it was not looked at. ``before``, ``after``: the random streams before it was fetched, if that was
    done in the training's own process, and as it was given. ``called_with``: the model's first call had it as input.
    """

    step: int
    indices: tuple[Any, ...] | None
    digest: str | None
    before: streams.Streams | None
    after: streams.Streams | None
    called_with: bool


@dataclass(frozen=True, slots=True)
class Box:
    """Why it was written, and the last steps until then.

    ``step``: the one that went wrong. ``weights_step``: the step that the weights are about to make, None without any.
    ``batches``: the last ones; ``chosen``: the place of the step's own among them. ``batch``: that one itself, and
    ``inputs``: what the model was called with, where batches were kept. ``parameters``: norms of weights and gradients
    and how many of their entries were not finite. ``notes``: what is missing, and why.
    """

    path: Path
    reason: str
    step: int
    loss: float
    weights_step: int | None
    steps: tuple[Step, ...]
    batches: tuple[Batch, ...]
    chosen: int | None
    batch: Any
    inputs: Any
    streams: streams.Streams | None
    weights: Mapping[str, torch.Tensor]
    buffers: Mapping[str, torch.Tensor]
    optimizer: Mapping[str, Any] | None
    parameters: tuple[Mapping[str, Any], ...]
    memory: Mapping[str, int]
    notes: tuple[str, ...]

    @property
    def indices(self) -> tuple[Any, ...] | None:
        """Of the samples that the step was made with."""
        return self.batches[self.chosen].indices if self.chosen is not None else None

    @property
    def exact(self) -> bool:
        """Whether weights and random streams are those of the step, so that it can be made again as it was."""
        return self.weights_step == self.step and self.streams is not None

    def fetch(self, dataset: Any, collate: Callable[[list[Any]], Any] = default_collate) -> Any:
        """The step's batch, fetched again by its indices, with the random streams of then; they are put back after it.

        Raises BadInput where its indices are not known.
        """
        if self.chosen is None or self.indices is None:
            raise BadInput(f"{self.path}: the indices of its batch are not known: {self.reason}")
        before, now = self.batches[self.chosen].before, streams.take(everything=True)
        try:
            if before is not None:
                before.set()
            many = getattr(dataset, "__getitems__", None)
            return collate(many(list(self.indices)) if many else [dataset[each] for each in self.indices])
        finally:
            now.set()

    def restore(self, model: nn.Module | Sequence[nn.Module], optimizer: Optimizer | None = None) -> None:
        """Put weights, buffers, the optimizer's state and the random streams to where the step began.

        What the program does from then on with ``batch`` (or ``fetch``) it does as it did. Raises BadInput if the box
        holds no weights, or those of another model.
        """
        if not self.weights:
            raise BadInput(f"{self.path}: holds no weights{'; ' + self.notes[0] if self.notes else ''}")
        models = [model] if isinstance(model, nn.Module) else list(model)
        buffers = [(name, each) for one in models for name, each in one.named_buffers()]
        with torch.no_grad():
            _copy(self.path, self.weights, named_parameters(models, []))
            _copy(self.path, self.buffers, buffers)
        if optimizer is not None and self.optimizer is not None:
            optimizer.load_state_dict(dict(self.optimizer))
        if self.streams is not None:
            self.streams.set()


def load(path: str | Path) -> Box:
    """Read a black box; nothing in it is executed.

    Raises BadInput, in one line, if it is not there or is none.
    """
    path = Path(path)
    if not path.is_file():
        raise BadInput(f"{path}: there is no such file")
    try:
        told = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as why:  # noqa: BLE001 - zip, pickle and torch each have their own
        raise BadInput(f"{path}: not a black box of dnndoctor ({type(why).__name__})") from None
    if not isinstance(told, dict) or told.get("kind") != KIND:
        raise BadInput(f"{path}: not a black box of dnndoctor")
    if told["version"] > VERSION:
        raise BadInput(f"{path}: written by a newer dnndoctor (version {told['version']}, this one reads {VERSION})")
    return _box(path, told)


def _box(path: Path, told: dict[str, Any]) -> Box:
    batches = tuple(
        Batch(
            each["step"],
            tuple(each["indices"]) if each["indices"] is not None else None,
            each["digest"],
            streams.of_plain(each["before"]),
            streams.of_plain(each["after"]),
            each["called_with"],
        )
        for each in told["batches"]
    )
    chosen, began = told["chosen"], told["began"]
    given = batches[chosen].after if chosen is not None else None
    return Box(
        path=path,
        reason=told["reason"],
        step=told["step"],
        loss=told["loss"],
        weights_step=told["weights_step"],
        steps=tuple(Step(**each) for each in told["steps"]),
        batches=batches,
        chosen=chosen,
        batch=told["batch"],
        inputs=told["inputs"],
        streams=given if given is not None else streams.of_plain(began),
        weights=told.get("weights") or {},
        buffers=told.get("buffers") or {},
        optimizer=told.get("optimizer"),
        parameters=tuple(told["parameters"]),
        memory=told["memory"],
        notes=tuple(told["notes"]),
    )


def _copy(path: Path, kept: Mapping[str, torch.Tensor], into: Sequence[tuple[str, torch.Tensor]]) -> None:
    there = {_bare(name): each for name, each in into}
    for name, value in kept.items():
        target = there.get(_bare(name))
        if target is None or target.shape != value.shape:
            why = "has none of that name" if target is None else f"has it as {list(target.shape)}"
            raise BadInput(f"{path}: is of another model: {name} is {list(value.shape)}, and this one {why}")
        target.copy_(value)


def _bare(name: str) -> str:
    for wrapper in WRAPPERS:
        name = name.replace(wrapper, "")
    return name
