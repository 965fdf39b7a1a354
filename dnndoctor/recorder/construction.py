"""Where modules and optimizers are built, and which modules were given weights that were made before."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from torch import nn
from torch.optim.optimizer import Optimizer
from torch.utils.data import DataLoader

from dnndoctor.observe.source import caller
from dnndoctor.recorder.roots import Known
from dnndoctor.subject.installed import Installed


def note_construction(installed: Installed, known: Known) -> None:
    """Note every module, optimizer and loader from now on. To be called before the program builds any."""
    known.complete = True
    for cls in (nn.Module, Optimizer, DataLoader):
        installed.patch(cls, "__init__", _noting(vars(cls)["__init__"], known))
    load, iterate = nn.Module.load_state_dict, DataLoader.__iter__

    @functools.wraps(load)
    def load_state_dict(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        result = load(self, *args, **kwargs)
        known.note_loaded(self)
        return result

    @functools.wraps(iterate)
    def __iter__(self: DataLoader[Any]) -> Any:  # noqa: N807 - it takes that method's place
        known.iterated = known.place(self) or known.iterated
        return iterate(self)

    installed.patch(nn.Module, "load_state_dict", load_state_dict)
    installed.patch(DataLoader, "__iter__", __iter__)


def _noting(original: Callable[..., None], known: Known) -> Callable[..., None]:
    @functools.wraps(original)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807 - it takes that method's place
        original(self, *args, **kwargs)
        known.note(self, caller(self))

    return __init__
