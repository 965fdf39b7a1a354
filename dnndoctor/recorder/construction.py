"""Where modules and optimizers are built, and which modules were given weights that were made before."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from torch import nn
from torch.optim.optimizer import Optimizer

from dnndoctor.observe.source import caller
from dnndoctor.recorder.roots import Known
from dnndoctor.subject.installed import Installed


def note_construction(installed: Installed, known: Known) -> None:
    """Note every module and optimizer from now on. To be called before the program builds any."""
    known.complete = True
    for cls in (nn.Module, Optimizer):
        installed.patch(cls, "__init__", _noting(vars(cls)["__init__"], known))
    load = nn.Module.load_state_dict

    @functools.wraps(load)
    def load_state_dict(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        result = load(self, *args, **kwargs)
        known.note_loaded(self)
        return result

    installed.patch(nn.Module, "load_state_dict", load_state_dict)


def _noting(original: Callable[..., None], known: Known) -> Callable[..., None]:
    @functools.wraps(original)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807 - it takes that method's place
        original(self, *args, **kwargs)
        known.note(self, caller(self))

    return __init__
