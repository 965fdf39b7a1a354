"""What already keeps a training from over-fitting, read off the model, the optimizer and the source."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

from torch import nn

from dnndoctor.observe.source import absolute
from dnndoctor.observe.watch import Watch
from dnndoctor.probes.task import Task

LEAST_DECAY = 0.05  # of the weights, over all steps, without a gradient; less is as good as none
DECOUPLED = ("AdamW", "NAdamW", "RAdamW", "Lion", "SGDW", "AdamWScheduleFree")
NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm)
# A word of a name is enough: it only keeps a rule silent.
STOPPING = re.compile(
    r"patience|early_?stop|best_(state|model|weights|params|epoch)|deepcopy\(.*state_dict", re.IGNORECASE
)


def restraints(watch: Watch, task: Task, steps: int) -> list[str]:
    """Names of what is there: "dropout", "weight decay", "normalization", "label smoothing", "early stopping", ..."""
    model = task.model()
    found = []
    functional = any(
        each.name.startswith(("dropout", "alpha_dropout", "feature_dropout")) and each.attributes.get("p", 0.5)
        for each in watch.forward.operations
    )
    modules = list(model.modules())
    dropping = any(isinstance(each, nn.modules.dropout._DropoutNd) and each.p > 0 for each in modules)
    recurrent = any(isinstance(each, (nn.RNNBase, nn.MultiheadAttention)) and each.dropout > 0 for each in modules)
    if functional or dropping or recurrent:
        found.append("dropout")
    decay = task.settings.get("weight_decay", 0.0)
    total = 1 - math.exp(-decay * task.rate * steps)
    decoupled = task.optimizer in DECOUPLED or task.settings.get("decoupled_weight_decay", 0.0) > 0
    if decay > 0 and (not decoupled or total >= LEAST_DECAY):
        found.append("weight decay")
    if any(isinstance(each, NORMS) or "Norm" in type(each).__name__ for each in modules):
        found.append("normalization")
    if any(each.attributes.get("label_smoothing") for each in watch.forward.operations):
        found.append("label smoothing")
    if any(not each.requires_grad for each in model.parameters()) or watch.pretrained:
        found.append("weights that were learned elsewhere")
    if plan_of(watch).get("ends_early") or any(STOPPING.search(text) for text in _sources(watch)):
        found.append("early stopping")
    return found


def plan_of(watch: Watch) -> dict[str, Any]:
    """How long the run is meant to be, as far as that is known."""
    return next((each.facts() for each in watch.windows.all if each.name == "plan"), None) or {}


def _sources(watch: Watch) -> list[str]:
    """The user's files that the loop is in."""
    places = [watch.backward_location, *(each.location for each in watch.optimizers)]
    files = {absolute(each.file) for each in places if each is not None}
    return [text for each in files if (text := _read(each))]


def _read(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
