"""Finds what is wrong with a PyTorch training run and says how to mend it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dnndoctor.api import Checked, check

__version__ = "0.1.0"
__all__ = ["Checked", "__version__", "check"]


def __getattr__(name: str) -> Any:
    """``check`` and its result are loaded when they are asked for: this package is imported by quick commands too."""
    if name in ("check", "Checked"):
        from dnndoctor import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
