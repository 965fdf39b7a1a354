"""The recording: everything measured, in one SQLite file; its schema, writer and reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def load(path: Path) -> dict[type, Any]:
    """All measurements of a recording by type.

    Raises ValueError with one line for people if it is unreadable or foreign.
    """
    from dnndoctor.recording.assemble import load as assemble

    return assemble(path)


__all__ = ["load"]
