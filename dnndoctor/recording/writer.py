"""Writes a recording; a process killed at any moment leaves everything up to its last commit."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from dnndoctor.findings import Location
from dnndoctor.recording import schema

Point = tuple[float, float | None, float, int]  # step, value, time, line
_POINT = "step, value, time, line"


class Writer:
    """One recording, open for writing; ``put`` replaces a row with the same key.

    ``durable``: what was committed survives a power cut too, and not only the end of the process.
    """

    def __init__(self, path: str, *, durable: bool = False) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'OFF'}")
        for statement in schema.create():
            self._db.execute(statement)
        self._open = False

    def put(self, table: str, row: Mapping[str, Any]) -> None:
        """Insert or replace one row."""
        self.put_all(table, [row])

    def put_all(self, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Insert or replace rows that all have the same columns."""
        rows = [_flat(row) for row in rows]
        if not rows:
            return
        if not self._open:
            self._db.execute("BEGIN")
            self._open = True
        columns = list(rows[0])
        marks = ", ".join("?" * len(columns))
        self._db.executemany(
            f"INSERT OR REPLACE INTO {table} ({', '.join(columns)}) VALUES ({marks})",  # noqa: S608 - names are ours
            [tuple(row[column] for column in columns) for row in rows],
        )

    def put_points(self, series: int, *columns: Iterable[float]) -> None:
        """The points of a logged series: step, value, time and line, nan where not told."""
        rows = ((series, *row) for row in zip(*columns, strict=True))
        if not self._open:
            self._db.execute("BEGIN")
            self._open = True
        self._db.executemany("INSERT INTO point (series, step, value, time, line) VALUES (?, ?, ?, ?, ?)", rows)

    def put_step(self, step: int, moment: float, series: Sequence[int], values: Sequence[float]) -> None:
        """One point for each of these logged series; what is not a number is kept as null."""
        if not self._open:
            self._db.execute("BEGIN")
            self._open = True
        self._db.executemany(
            "INSERT INTO point (series, step, value, time, line) VALUES (?, ?, ?, ?, 0)",
            [(number, step, value, moment) for number, value in zip(series, values, strict=True)],
        )

    def index_points(self) -> None:
        """Let the points of one series be found without reading all others."""
        self._db.execute("CREATE INDEX IF NOT EXISTS point_series ON point (series)")

    def rewrite_points(self, lengths: Mapping[int, bool], keep: Callable[[list[Point]], list[Point]]) -> None:
        """Put all points anew into the file, in one transaction; what is only deleted leaves half-empty pages.

        ``lengths``: every series, and whether it is to be shortened: ``keep`` gives those of its points that stay.
        """
        self._db.execute("BEGIN")
        self._open = True
        self._db.execute(f"CREATE TABLE kept ({schema.TABLES['point']})")
        for number, shortened in lengths.items():
            found = self._db.execute(f"SELECT {_POINT} FROM point WHERE series = ? ORDER BY rowid", (number,))  # noqa: S608
            kept = keep(found.fetchall()) if shortened else found
            rows = ((number, *point) for point in kept)
            self._db.executemany(f"INSERT INTO kept (series, {_POINT}) VALUES (?, ?, ?, ?, ?)", rows)  # noqa: S608
        self._db.execute("DROP TABLE point")
        self._db.execute("ALTER TABLE kept RENAME TO point")
        self.index_points()
        self.commit()
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def roll_back(self) -> None:
        """Forget what was not committed."""
        if self._open:
            self._open = False
            with contextlib.suppress(sqlite3.Error):  # it was rolled back already, by the error
                self._db.execute("ROLLBACK")

    def clear(self, table: str, **where: str) -> None:
        """Delete the rows in which these columns have these values."""
        conditions = " AND ".join(f"{column} = ?" for column in where)
        self._db.execute(f"DELETE FROM {table} WHERE {conditions}", tuple(where.values()))  # noqa: S608 - names are ours

    def run(self, **facts: Any) -> None:
        """Facts of the run as a whole."""
        self.put_all("run", [{"key": key, "value": _json(value)} for key, value in facts.items()])

    def commit(self) -> None:
        """Make everything so far last."""
        if self._open:
            self._db.execute("COMMIT")
            self._open = False

    def close(self) -> None:
        """Commit and fold the log into the one file."""
        self.commit()
        self._db.execute("PRAGMA journal_mode = DELETE")
        self._db.close()


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in row.items():
        if key == "location":
            place: Location | None = value
            flat["file"] = place.file if place else None
            flat["line"] = place.line if place else None
            flat["column"] = place.column if place else None
        elif isinstance(value, (list, tuple, dict)):
            flat[key] = _json(value)
        elif isinstance(value, float) and value != value:
            flat[key] = None  # SQLite has no NaN
        else:
            flat[key] = value
    return flat


def _json(value: Any) -> str:
    return json.dumps(value, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, Location):
        return [value.file, value.line, value.column]
    if isinstance(value, (np.integer, np.floating)):
        return value.item()
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return str(value)
