"""What a reader gives: the quantities that a run logged, as plain arrays."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

NAN = float("nan")


class Unreadable(ValueError):
    """A file that cannot be read; the message is one line that says what and what to do."""


class Nothing(Unreadable):
    """The file is sound and holds nothing of use: not worth a word where others beside it do."""


@dataclass(frozen=True, slots=True)
class Series:
    """One logged quantity. Arrays are [points], in the order of the file.

    ``step``: as logged, nan where only the epoch is; ``epoch``: likewise; ``time``: seconds since 1970 or since the
    start, nan where not told; ``line``: in the file, 0 where it has no lines.
    """

    name: str
    value: NDArray[np.float64]
    step: NDArray[np.float64]
    epoch: NDArray[np.float64]
    time: NDArray[np.float64]
    line: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Log:
    """All that one file says; ``facts``: settings that it holds; ``notes``: what a reader of the report should know.

    ``run``: the folder of the run that it belongs to, where that is not its own.
    """

    file: Path
    series: tuple[Series, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    run: Path | None = None

    @property
    def folder(self) -> Path:
        """Of its run."""
        return self.run or self.file.parent


@dataclass(frozen=True, slots=True)
class Reader:
    """One kind of file. ``claims``: whether it is of that kind, from its path and its first bytes; ``read`` raises
    Unreadable. ``asked``: claimed only where the user names the very file, as any text might be a log.
    """

    name: str
    claims: Callable[[Path, bytes], bool]
    read: Callable[[Path], Log]
    asked: bool = False


class Points:
    """Gathers the points of many series row by row, at 40 bytes each: a log has millions of them."""

    def __init__(self) -> None:
        self._rows: dict[str, array[float]] = {}
        self.count = 0

    def add(
        self,
        name: str,
        value: float,
        *,
        step: float | None = None,
        epoch: float | None = None,
        time: float | None = None,
        line: int = 0,
    ) -> None:
        """One point; None: not told."""
        rows = self._rows.get(name)
        if rows is None:
            rows = self._rows[name] = array("d")
        at, during = NAN if step is None else step, NAN if epoch is None else epoch
        rows.extend((value, at, during, NAN if time is None else time, line))
        self.count += 1

    def series(self) -> tuple[Series, ...]:
        """All of them, in the order of their first points."""
        found = []
        for name, rows in self._rows.items():
            table = np.frombuffer(rows, np.float64).reshape(-1, 5)
            value, step, epoch, time = (np.ascontiguousarray(table[:, column]) for column in range(4))
            found.append(Series(name, value, step, epoch, time, table[:, 4].astype(np.int64)))
        return tuple(found)


def number(value: Any) -> float | None:
    """A figure as a log has it ("0.3", "nan", "-inf", 3), or None where it is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return _float(value)
    if isinstance(value, str) and len(value) <= 64:
        return _float(value.strip())
    return None


def _float(value: str | float) -> float | None:
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None
