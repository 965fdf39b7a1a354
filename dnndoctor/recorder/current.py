"""What already follows this process when its program asks to be watched: then there is no second recording of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dnndoctor.recorder.recorder import Recorder

_running: list[Recorder] = []


def follow(recorder: Recorder) -> None:
    """``dnndoctor run`` records this process."""
    _running[:] = [recorder]


def running() -> Recorder | None:
    """The recorder of ``dnndoctor run``, if it is there."""
    return next((each for each in _running if not each.closed and each.failure is None), None)


def examined() -> bool:
    """Whether ``dnndoctor check`` examines the program, and rolls its steps back as it likes."""
    return "DNNDOCTOR_JOB" in os.environ
