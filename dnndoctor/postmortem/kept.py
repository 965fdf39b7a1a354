"""Checkpoints that lie beside the logs, with the step of the run that their names tell."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

ENDINGS = (".pt", ".pth", ".ckpt", ".safetensors", ".bin")
NO_MODEL = re.compile(r"^(optimizer|scheduler|scaler|rng_state\w*|training_args|random_states\w*)\.", re.IGNORECASE)
_SAID = {
    unit: re.compile(rf"(?:{words})[-_=]?(\d{{1,12}})(?!\d)", re.IGNORECASE)
    for unit, words in (("step", "steps?|iters?|iteration|checkpoint|ckpt|it"), ("epoch", "epochs?|ep|e"))
}
_BARE = re.compile(r"(\d{1,12})(?=\.\w+$)")


def is_checkpoint(path: Path) -> bool:
    """Whether the file is named as models are that were saved."""
    return path.name.lower().endswith(ENDINGS) and not NO_MODEL.match(path.name)


def step_of(path: Path, unit: str) -> float | None:
    """The step (or epoch) that a checkpoint's name, or its folder's, tells; None where neither does."""
    for name in (path.name, path.parent.name):
        if unit in _SAID and (said := _SAID[unit].findall(name)):
            return float(said[-1])
    other = "epoch" if unit == "step" else "step"
    if (bare := _BARE.search(path.name)) and not _SAID[other].search(path.name):
        return float(bare[1])
    return None


def dated(paths: Iterable[Path], unit: str, last: float) -> list[tuple[str, float, bool | None]]:
    """Path, step and soundness (not known) of the checkpoints of which the step is told, in its order.

    One that claims to be later than the run's ``last`` step belongs to another run.
    """
    found = []
    for path in paths:
        step = step_of(path, unit)
        if step is not None and step <= 1.05 * last + 1:
            shown = path.parent if path.parent.name.startswith("checkpoint-") else path
            found.append((str(shown), step, None))
    return sorted(set(found), key=lambda each: (each[1], each[0]))
