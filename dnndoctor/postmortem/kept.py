"""Checkpoints that lie beside the logs, with the step of the run that their names tell."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ENDINGS = (".pt", ".pth", ".ckpt", ".safetensors", ".bin")
NO_MODEL = re.compile(r"^(optimizer|scheduler|scaler|rng_state\w*|training_args|random_states\w*)\.", re.IGNORECASE)
PIECES = ".metadata"  # of torch.distributed.checkpoint
SHARD = re.compile(r"-\d+-of-\d+\.\w+$")
_SAID = {
    unit: re.compile(rf"(?:{words})[-_=]?(\d{{1,12}})(?!\d)", re.IGNORECASE)
    for unit, words in (("step", "steps?|iters?|iteration|checkpoint|ckpt|it"), ("epoch", "epochs?|ep|e"))
}
_BARE = re.compile(r"(\d{1,12})(?=\.\w+$)")


def is_checkpoint(path: Path) -> bool:
    """Whether the file is named as models are that were saved, or the folder laid out as one that is in pieces."""
    if path.is_dir():
        return (path / PIECES).is_file()
    name = path.name.lower()
    if SHARD.search(name):
        return False  # its index stands for it
    return name.endswith((*ENDINGS, ".safetensors.index.json", ".bin.index.json")) and not NO_MODEL.match(name)


def step_of(path: Path, unit: str) -> float | None:
    """The step (or epoch) that a checkpoint's name, or its folder's, tells; None where neither does."""
    for name in (path.name, path.parent.name):
        if unit in _SAID and (said := _SAID[unit].findall(name)):
            return float(said[-1])
    other = "epoch" if unit == "step" else "step"
    if (bare := _BARE.search(path.name)) and not _SAID[other].search(path.name):
        return float(bare[1])
    return None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A checkpoint of the run; ``facts``: its tensors and what else it holds, empty where it was not read.

    ``step``: None where neither name nor content tells it.
    """

    path: str
    step: float | None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sound(self) -> bool | None:
        """Whether all weights are finite; None where it was not read."""
        tensors = self.facts.get("tensors")
        return None if tensors is None else not any(each["bad"] for each in tensors)


def in_order(paths: Iterable[Path], unit: str) -> list[Path]:
    """Checkpoints by the step that their names tell, else by their age."""
    return sorted(set(paths), key=lambda each: (step_of(each, unit) or 0.0, each.stat().st_mtime, str(each)))


def dated(paths: Iterable[Path], told: Iterable[Mapping[str, Any]], unit: str, last: float | None) -> list[Snapshot]:
    """All checkpoints, with what was read of them, in the order of their steps.

    One that claims to be later than the run's ``last`` step belongs to another run.
    """
    by_path = {each["path"]: each for each in told}
    found = []
    for path in paths:
        content = by_path.get(str(path), {})
        facts = content.get("facts", {})
        own = step_of(path, unit)
        step = own if own is not None else facts.get(unit)
        if step is not None and last is not None and step > 1.05 * last + 1:
            continue
        shown = path.parent if path.parent.name.startswith("checkpoint-") else path
        kept = {"tensors": content["tensors"], **facts} if "tensors" in content else {}
        found.append(Snapshot(str(shown), step, kept))
    return sorted(found, key=lambda each: (each.step is None, each.step or 0.0))
