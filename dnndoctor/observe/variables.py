"""What the user's code calls its modules."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import FrameType
from typing import Any

from torch import nn

from dnndoctor.observe.source import is_user_file

# Where libraries keep the user's own module inside of a wrapper of theirs.
WRAPPED = ("_orig_mod", "module", "_forward_module", "_fsdp_wrapped_module")
MOST_ITEMS = 1000


def unwrapped(module: nn.Module) -> nn.Module:
    """The user's module inside of ``DataParallel``, a compiled model and the like."""
    inner = module
    while not is_user_class(type(inner)):
        children = dict(inner.named_children())
        found = next((children[name] for name in WRAPPED if name in children), None)
        if found is None:
            break
        inner = found
    return inner


def is_user_class(cls: type) -> bool:
    """Whether the class is defined in a file of the user's."""
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    return file is not None and is_user_file(file)


def class_name(module: nn.Module) -> str:
    """The class as the user wrote it; of a scripted module, that which it was made from."""
    return str(getattr(module, "original_name", None) or type(module).__name__)


def names_of(modules: Sequence[nn.Module]) -> dict[int, str]:
    """What the running user code calls these modules, by id: a variable, an item of one, or an attribute."""
    wanted = {id(each) for each in modules}
    variables: dict[int, str] = {}
    inside: dict[int, tuple[str, str]] = {}  # with what holds them
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if is_user_file(frame.f_code.co_filename):
            scope = {**frame.f_globals, **frame.f_locals}
            for name, value in scope.items():
                if id(value) in wanted and name != "self":
                    variables.setdefault(id(value), name)
                for inner, each in _inside(name, value):
                    if id(each) in wanted:
                        inside.setdefault(id(each), (name, inner))
        frame = frame.f_back
    # A loop's variable names one item after the other: there the list has the better name.
    looped = {holder for key, (holder, _) in inside.items() if key not in variables}
    items = {key: name for key, (holder, name) in inside.items() if key not in variables or holder in looped}
    return {**variables, **items}


def _inside(name: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, (list, tuple)):
        return [(f"{name}[{i}]", each) for i, each in enumerate(value[:MOST_ITEMS])]
    if isinstance(value, dict):
        items = list(value.items())[:MOST_ITEMS]
        return [(f"{name}[{key!r}]", each) for key, each in items if isinstance(key, (str, int))]
    if isinstance(value, (nn.Module, type)) or not hasattr(value, "__dict__") or not is_user_class(type(value)):
        return []
    owner = "" if name == "self" else f"{name}."
    return [(f"{owner}{key}", each) for key, each in vars(value).items()]
