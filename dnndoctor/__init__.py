"""Finds what is wrong with a PyTorch training run and says how to mend it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dnndoctor.api import Checked, check
    from dnndoctor.assertions import assert_healthy, assert_script_healthy
    from dnndoctor.recorder.session import watch

__version__ = "0.1.0"
__all__ = ["Checked", "__version__", "assert_healthy", "assert_script_healthy", "check", "watch"]


def __getattr__(name: str) -> Any:
    """The functions of the package are loaded when they are asked for: it is imported by quick commands too."""
    if name in ("check", "Checked"):
        from dnndoctor import api

        return getattr(api, name)
    if name in ("assert_healthy", "assert_script_healthy"):
        from dnndoctor import assertions

        return getattr(assertions, name)
    if name == "watch":
        from dnndoctor.recorder.session import watch

        return watch
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
