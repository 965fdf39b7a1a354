"""Whether other processes take part in the training of this one, in which case nothing may be tried in it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from types import FrameType

    from dnndoctor.observe.watch import Watch


def of(watch: Watch) -> str | None:
    """Why the steps of this process cannot be rolled back alone; None where they can."""
    distributed = torch.distributed
    if distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1:
        return f"the script trains in {distributed.get_world_size()} processes together, which have to stay in step"
    groups = [group for facts in watch.optimizers for group in facts.optimizer.param_groups]
    tensors = [each for group in groups for each in group["params"]]
    if any(each.device.type == "cpu" and each.is_shared() for each in tensors):
        return "the parameters lie in memory that other processes share"
    return None


def loads_data() -> bool:
    """Whether the fork that has just happened is that of a DataLoader's worker."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename.replace("\\", "/").endswith("torch/utils/data/dataloader.py"):
            return True
        frame = frame.f_back
    return False
