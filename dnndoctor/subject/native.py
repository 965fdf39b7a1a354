"""Writers that work below Python and so below the audit hook: each is told of before it opens its file."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

from dnndoctor.subject.late import AfterImport

BeforeWrite = Callable[[object], None]
_installed: list[AfterImport] = []


def install(before_write: BeforeWrite) -> None:
    """Wrap the writers as their libraries are imported."""
    patches = {
        "torch": lambda module: _torch(module, before_write),
        "safetensors": lambda module: _wrap(module, "serialize_file", before_write, 1, "filename"),
        "h5py._hl.files": lambda module: _wrap(module.File, "__init__", before_write, 1, "name", reading=("r",)),
    }
    finder = AfterImport(patches)
    finder.install()
    _installed.append(finder)


def apply_loaded() -> None:
    """Wrap what has been imported without passing by the finder."""
    for each in _installed:
        each.apply_loaded()


def _torch(torch: ModuleType, before_write: BeforeWrite) -> None:
    for owner, name, position, keyword in (
        (torch._C.PyTorchFileWriter, "__init__", 1, "file_name"),  # torch.save, torch.export.save, checkpoints
        (torch._C.ScriptModule, "save", 1, "filename"),
        (torch._C.ScriptFunction, "save", 1, "filename"),
    ):
        _wrap(owner, name, before_write, position, keyword)
    for owner in (torch, torch.UntypedStorage):
        _wrap_shared(owner, before_write)


def _wrap(
    owner: Any, name: str, before_write: BeforeWrite, position: int, keyword: str, reading: tuple[str, ...] = ()
) -> None:
    original = getattr(owner, name, None)
    if original is None:
        return

    @functools.wraps(original)
    def write(*args: Any, **kwargs: Any) -> Any:
        mode = kwargs.get("mode", args[position + 1] if len(args) > position + 1 else "r")
        if mode not in reading:
            before_write(args[position] if len(args) > position else kwargs.get(keyword))
        return original(*args, **kwargs)

    setattr(owner, name, write)


def _wrap_shared(owner: Any, before_write: BeforeWrite) -> None:
    """``from_file``: only with ``shared=True`` does writing to the tensor change the file."""
    original = owner.from_file

    @functools.wraps(original)
    def from_file(*args: Any, **kwargs: Any) -> Any:
        if kwargs.get("shared", len(args) > 1 and args[1]):
            before_write(args[0] if args else kwargs.get("filename"))
        return original(*args, **kwargs)

    owner.from_file = from_file if isinstance(owner, ModuleType) else staticmethod(from_file)
