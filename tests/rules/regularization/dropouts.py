"""Literal dropouts."""

from typing import Any

from dnndoctor.findings import Location
from dnndoctor.measurements import Dropout

BUILT, CALLED = Location("train.py", 11), Location("train.py", 20)


def dropout(**changes: Any) -> Dropout:
    """A sound one behind fc1."""
    given: dict[str, Any] = {
        "name": "drop",
        "function": "dropout",
        "location": BUILT,
        "p": 0.5,
        "active": True,
        "shape": (32, 64),
        "after": "fc1",
        "call": CALLED,
    }
    return Dropout(**(given | changes))
