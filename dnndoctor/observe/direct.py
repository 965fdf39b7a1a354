"""``model.forward(x)`` called directly: torch's hooks on the model stay silent, those on its parts do not."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from types import FrameType
from typing import Any

from torch import nn

from dnndoctor.findings import Location
from dnndoctor.observe.passes import Pass
from dnndoctor.observe.source import caller_of

DEPTH = 40
_MODULE_FILE = nn.modules.module.__file__


@dataclass
class DirectCall:
    """A method of ``module`` that runs without the module being called; seen as its first part is called.

    ``args`` are those of the method, where it is ``forward``. No frame is kept: it would keep the graph alive.
    """

    module: nn.Module
    part: nn.Module
    frame: int
    args: tuple[Any, ...] | None
    location: Location | None
    opened: Pass | None = None

    def goes_on(self, later: DirectCall) -> bool:
        """Whether ``later`` was seen from within the same call; its first part again begins a new one."""
        return self.frame == later.frame and self.module is later.module and self.part is not later.part


def direct_call(part: nn.Module, top: nn.Module) -> DirectCall | None:
    """The outermost method of ``top`` that runs now and has led to the call of ``part``."""
    frame: FrameType | None = sys._getframe(1)
    found: FrameType | None = None
    forward: FrameType | None = None
    for _ in range(DEPTH):
        if frame is None:
            break
        code = frame.f_code
        bookkeeping = code.co_filename == _MODULE_FILE  # zero_grad, state_dict, apply: no forward pass
        if (
            not bookkeeping
            and code.co_argcount
            and code.co_name != "__init__"
            and frame.f_locals.get(code.co_varnames[0]) is top
        ):
            found = frame
            forward = frame if code.co_name == "forward" else forward
        frame = frame.f_back
    found = forward or found
    if found is None:
        return None
    names = found.f_code.co_varnames[1 : found.f_code.co_argcount]
    args = tuple(found.f_locals.get(name) for name in names) if found.f_code.co_name == "forward" else None
    return DirectCall(top, part, id(found), args, caller_of(found))
