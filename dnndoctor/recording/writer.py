"""Writes a recording; a process killed at any moment leaves everything up to its last commit."""

from __future__ import annotations

import ctypes
import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnndoctor.findings import Location
from dnndoctor.recording import schema
from dnndoctor.recording.points import stretches


class Writer:
    """One recording, open for writing; ``put`` replaces a row with the same key.

    ``durable``: each commit also outlives a power cut, at the price of waiting for the disk.
    """

    def __init__(self, path: str, *, durable: bool = False) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._open = False
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'OFF'}")
        self._begin()
        for statement in schema.create():
            self._db.execute(statement)
        self.commit()

    def _begin(self) -> None:
        if not self._open:
            self._db.execute("BEGIN")
            self._open = True

    def put(self, table: str, row: Mapping[str, Any]) -> None:
        """Insert or replace one row."""
        self.put_all(table, [row])

    def put_all(self, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Insert or replace rows that all have the same columns."""
        rows = [_flat(row) for row in rows]
        if not rows:
            return
        self._begin()
        columns = list(rows[0])
        marks = ", ".join("?" * len(columns))
        self._db.executemany(
            f"INSERT OR REPLACE INTO {table} ({', '.join(columns)}) VALUES ({marks})",  # noqa: S608 - names are ours
            [tuple(row[column] for column in columns) for row in rows],
        )

    def put_points(self, series: int, *columns: NDArray[Any]) -> None:
        """The points of a logged series: step, value, time and line, nan or 0 where not told."""
        self.put_all("stretch", list(stretches(series, np.column_stack(columns))))

    def clear(self, table: str, **where: str) -> None:
        """Delete the rows in which these columns have these values; without any, all of them."""
        conditions = " AND ".join(f"{column} = ?" for column in where) or "TRUE"
        self._db.execute(f"DELETE FROM {table} WHERE {conditions}", tuple(where.values()))  # noqa: S608 - names are ours

    def rows(self, table: str, ids: Sequence[int]) -> list[dict[str, Any]]:
        """The rows with these ids, in their order, as they are stored."""
        self._begin()
        found = self._db.execute(f"SELECT * FROM {table} WHERE id IN ({_marks(ids)}) ORDER BY id", tuple(ids))  # noqa: S608
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found]

    def columns(self, table: str, *names: str) -> list[tuple[Any, ...]]:
        """These columns of all rows."""
        return self._db.execute(f"SELECT {', '.join(names)} FROM {table} ORDER BY id").fetchall()  # noqa: S608

    def remove(self, table: str, ids: Sequence[int]) -> None:
        """Delete the rows with these ids."""
        self._begin()
        self._db.execute(f"DELETE FROM {table} WHERE id IN ({_marks(ids)})", tuple(ids))  # noqa: S608 - names are ours

    def used_bytes(self) -> int:
        """Of the file, without what was freed and will be used again."""
        pages, free, size = (
            int(self._db.execute(f"PRAGMA {each}").fetchone()[0])
            for each in ("page_count", "freelist_count", "page_size")
        )
        return (pages - free) * size

    def run(self, **facts: Any) -> None:
        """Facts of the run as a whole."""
        self.put_all("run", [{"key": key, "value": _json(value)} for key, value in facts.items()])

    def commit(self) -> None:
        """Make everything so far last."""
        if self._open:
            self._db.execute("COMMIT")
            self._open = False

    def roll_back(self) -> None:
        """Forget what was not committed."""
        self._open = False
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def checkpoint(self, log_pages: int | None = None) -> None:
        """Move what is in the log into the file, as far as no reader needs it there.

        ``log_pages``: from now on whenever it has that many.
        """
        if log_pages is not None:
            self._db.execute(f"PRAGMA wal_autocheckpoint = {log_pages}")
        self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def close(self) -> None:
        """Commit and fold the log into the one file."""
        self.commit()
        self._db.execute("PRAGMA journal_mode = DELETE")
        self._db.close()

    def abandon(self) -> None:
        """Close what cannot be written any more; what was committed stays in the log beside the file."""
        self._open = False
        self._db.close()

    def leave(self) -> None:
        """In a forked process: never touch the file again, not even to close it, which would end the parent's log."""
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._db))


def _marks(values: Sequence[Any]) -> str:
    return ", ".join("?" * len(values))


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
