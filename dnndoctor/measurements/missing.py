"""What stands in for a measurement that was not taken."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Missing:
    """``reason`` completes "not examined: ..."."""

    reason: str
