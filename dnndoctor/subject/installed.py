"""What we hang into torch for the time of an examination, and how all of it comes off again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_NONE = object()


class Installed:
    """Every hook and wrapper that stands; ``remove`` takes them away, the last one first."""

    def __init__(self) -> None:
        self._undo: list[Callable[[], None]] = []

    def patch(self, owner: Any, name: str, new: Any) -> None:
        """Put ``new`` in the place of the owner's attribute."""
        old = vars(owner).get(name, _NONE)
        setattr(owner, name, new)
        self._undo.append(lambda: delattr(owner, name) if old is _NONE else setattr(owner, name, old))

    def hold(self, handle: Any) -> None:
        """Own a handle that torch gave for a hook."""
        self._undo.append(handle.remove)

    def on_removal(self, undo: Callable[[], None]) -> None:
        """Do this too as all is removed."""
        self._undo.append(undo)

    def remove(self) -> None:
        """Leave torch as it was."""
        while self._undo:
            self._undo.pop()()


class Switch:
    """Hooks that are hung up only while somebody looks; idle ones cost every module call some microseconds."""

    def __init__(self, hang: Callable[[], Installed]) -> None:
        self._hang = hang
        self._hung: Installed | None = None

    def on(self) -> None:
        """Hang them up, if they are not."""
        if self._hung is None:
            self._hung = self._hang()

    def remove(self) -> None:
        """Take them down, if they hang."""
        hung, self._hung = self._hung, None
        if hung is not None:
            hung.remove()
