"""Shares and sizes as people write them: "1%", "0.01", "200MB"."""

from __future__ import annotations

import math
import re

from dnndoctor.workspace import BadInput

_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30,
          "k": 10**3, "m": 10**6, "g": 10**9}  # fmt: skip
SMALLEST = 100_000


def share(text: str) -> float:
    """A share of the time, above 0; infinite for 100 % and more: whatever it costs. Raises BadInput."""
    match = re.fullmatch(r"\s*([0-9.]+)\s*(%?)\s*", text)
    try:
        value = float(match[1]) / (100 if match[2] else 1) if match else math.nan
    except ValueError:
        value = math.nan
    if not value > 0:
        raise BadInput(f'--overhead: "{text}" is no share above 0: write 1% or 0.01')
    return math.inf if value >= 1 else value


def size(text: str) -> int:
    """A number of bytes. Raises BadInput."""
    match = re.fullmatch(r"\s*([0-9.]+)\s*([a-zA-Z]*)\s*", text)
    try:
        value = float(match[1]) * _UNITS[match[2].lower()] if match else 0
    except (ValueError, KeyError):
        value = 0
    if value < SMALLEST:
        raise BadInput(f'--max-size: "{text}" is no size of 100KB or more: write 200MB or 1GB')
    return int(value)
