"""Where the recorder puts what it measures: bounded in memory and on disk, and whole after any end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dnndoctor.recording.writer import Writer

KIND = "flight"


class Store:
    """One recording that grows while a program trains. Knows no torch; ``add`` is the only call on the hot path."""

    def __init__(self, path: Path, *, limit_bytes: int = 200_000_000, flush_seconds: float = 2.0) -> None:
        self.path, self.limit_bytes, self.flush_seconds = path, limit_bytes, flush_seconds
        self._writer = Writer(str(path))
        self._writer.run(kind=KIND)
        self._count = 0
        self.seconds = 0.0  # that writing took of the program's processors

    def series(self, name: str, role: str, **facts: Any) -> int:
        """Declare a quantity that is measured again and again; gives its number.

        ``role``: as of ``measurements.Curve``, or "gradient", "update", "activation" with ``parameter`` or ``module``
        and ``statistic`` in the facts.
        """
        number, self._count = self._count, self._count + 1
        self._writer.put("series", {"id": number, "name": name, "role": role, "facts": {"file": "", **facts}})
        return number

    def add(self, step: int, time: float, series: Sequence[int], values: Sequence[float]) -> None:
        """One value for each of these series."""
        for number, value in zip(series, values, strict=True):
            self._writer.put_points(number, [step], [value], [time], [0])

    def put(self, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Rows of any other table; rarely."""
        self._writer.put_all(table, rows)

    def run(self, **facts: Any) -> None:
        """Facts of the run as a whole."""
        self._writer.run(**facts)

    def event(self, step: int, kind: str, **facts: Any) -> None:
        """Something that happened once."""
        self._writer.put("event", {"step": step, "kind": kind, "facts": facts, "location": None})

    def flush(self) -> None:
        """Make everything so far last, now."""
        self._writer.commit()

    def close(self) -> None:
        """Flush and fold everything into the one file."""
        self._writer.close()
