"""Opens a recording and gives its rows; knows the schema, judges nothing."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnndoctor.findings import Location
from dnndoctor.recording import schema
from dnndoctor.recording.points import LAST, decoded
from dnndoctor.recording.salvage import Source, Whole, salvaged

Row = dict[str, Any]
_POINTS = frozenset(("stretch", "recent"))
_JSON = frozenset(("facts", "inputs", "parameters", "shape", "input_shape", "attributes", "value"))


@dataclass(frozen=True, slots=True)
class Points:
    """The points of one logged series; arrays [points], nan where nothing is known."""

    step: NDArray[np.float64]
    value: NDArray[np.float64]
    time: NDArray[np.float64]
    line: NDArray[np.float64]


class _Garbled(Exception):
    """A row that does not hold what was written."""


class BrokenWindow(Exception):
    """What a measurement is made of was not seen, by a bug of ours."""


@dataclass(frozen=True)
class Rows:
    """All rows by table, ``points`` by series; JSON columns are decoded and each row with a place has ``location``."""

    tables: dict[str, list[Row]]
    run: Row = field(default_factory=dict)
    points: dict[int, Points] = field(default_factory=dict)

    def __getitem__(self, table: str) -> list[Row]:
        return self.tables.get(table, [])

    def facts(self, table: str, key: str, value: Any) -> Row | None:
        """The ``facts`` of the row whose ``key`` is ``value``.

        Raises BrokenWindow where a bug of ours kept them from being written.
        """
        broken = (self.run.get("broken") or {}).get(value) if table == "window" else None
        if broken is not None:
            raise BrokenWindow(f'a bug of dnndoctor broke its window "{value}": {broken}')
        return next((row["facts"] for row in self[table] if row[key] == value), None)


def read(path: Path) -> Rows:
    """Read a whole recording; of one that is damaged or was cut off, what is left.

    Raises ValueError, with one line for people, if it is not there, unreadable, foreign, or newer than this reader.
    """
    if not path.is_file():
        raise ValueError(f"{path}: there is no such recording")
    try:
        database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            _check(path, database)
            return _rows(Whole(database))
        finally:
            database.close()
    except (sqlite3.Error, _Garbled) as error:
        return _left(path, error)


def _left(path: Path, error: Exception) -> Rows:
    """What can still be read of a recording of which not everything can."""
    with salvaged(path) as torn:
        if torn is None:
            raise ValueError(f"{path}: not a recording of dnndoctor ({error})") from None
        try:
            _check(path, torn.database)
            rows = _rows(torn)
        except sqlite3.Error as why:
            raise ValueError(f"{path}: damaged or cut off so early that nothing can be read of it ({why})") from None
    if torn.missing or torn.damaged:
        share = f": {torn.missing} of {torn.pages} pages are missing" if torn.missing else ""
        note = f"the recording is damaged or was cut off{share}; what is left of it was judged"
        rows.run["notes"] = [note, *(rows.run.get("notes") or [])]
    return rows


def _check(path: Path, database: sqlite3.Connection) -> None:
    [application] = database.execute("PRAGMA application_id").fetchone()
    [version] = database.execute("PRAGMA user_version").fetchone()
    if application != schema.APPLICATION_ID:
        raise ValueError(f"{path}: a database, but not a recording of dnndoctor")
    if version > schema.VERSION:
        raise ValueError(f"{path}: recorded by a newer dnndoctor (schema {version}, this one reads {schema.VERSION})")


def _rows(source: Source) -> Rows:
    there = source.tables()
    tables = {}
    for quoted in schema.TABLES:
        name = quoted.strip('"')
        if name in there and name not in _POINTS:  # a run of a million steps has millions of them
            tables[name] = list(_decoded(source, name))
    run = {row["key"]: row["value"] for row in tables.get("run", [])}
    return Rows(tables, run, _sorted_points(source) if "stretch" in there else _single_points(source, there))


def _decoded(source: Source, table: str) -> Iterator[Row]:
    """Rows with their JSON columns decoded, and with their places."""
    coded: list[str] | None = None
    placed = False
    for row in source.rows(table):
        if coded is None:  # every row of a table has the same columns, and some tables have many rows
            coded, placed = sorted(_JSON & row.keys()), "file" in row
        try:
            for key in coded:
                if isinstance(row[key], str):
                    row[key] = json.loads(row[key])
        except ValueError as error:
            _pass_over(source, error)
            continue
        if placed:
            row["location"] = place(row) if row["file"] else None
        yield row


def _pass_over(source: Source, error: ValueError) -> None:
    if isinstance(source, Whole):
        raise _Garbled(str(error)) from None
    source.damaged = True


def _sorted_points(source: Source) -> dict[int, Points]:
    parts: dict[int, list[NDArray[np.float64]]] = {}
    for row in source.rows("stretch"):
        if (part := _unpacked(source, row["points"], 4)) is not None:
            parts.setdefault(row["series"], []).append(part)
    recent = [_unpacked(source, row["points"], 0) for row in source.rows("recent")]
    table = np.concatenate([np.zeros((0, 4)), *(each for each in recent if each is not None)])
    for series in np.unique(table[:, LAST]):
        part = table[table[:, LAST] == series]
        part[:, LAST] = 0  # they have no lines
        parts.setdefault(int(series), []).append(part)
    return {series: _in_order(np.concatenate(each)) for series, each in parts.items()}


def _unpacked(source: Source, text: str, width: int) -> NDArray[np.float64] | None:
    """Points [n, 4]; those of ``width`` 4 may lack the last column, which is 0 then."""
    try:
        found = decoded(text)
        if width and found.shape[1] == LAST:
            found = np.pad(found, ((0, 0), (0, 1)))
        if found.shape[1] != LAST + 1:
            raise ValueError("points without their figures")
    except (ValueError, TypeError, AttributeError, IndexError) as error:
        _pass_over(source, ValueError(str(error)))
        return None
    return found


def _in_order(table: NDArray[np.float64]) -> Points:
    if len(table) > 1 and (np.diff(table[:, 0]) < 0).any():
        table = table[np.argsort(table[:, 0], kind="stable")]
    return Points(*np.ascontiguousarray(table.T))


def _single_points(source: Source, there: set[str]) -> dict[int, Points]:
    """As version 1 had them: each point in a row of its own."""
    if "point" not in there:
        return {}
    columns = ("series", "step", "value", "time", "line")
    rows = [tuple(row[key] for key in columns) for row in source.rows("point")]
    table = np.asarray(rows, np.float64).reshape(-1, len(columns))  # what is null becomes nan
    return {int(series): Points(*table[table[:, 0] == series, 1:].T) for series in np.unique(table[:, 0])}


def place(row: Row | list[Any] | None) -> Location | None:
    """A location from a row's columns or from its JSON form."""
    if not row:
        return None
    if isinstance(row, list):
        return Location(*row)
    return Location(row["file"], row["line"], row["column"])


def number(value: float | None) -> float:
    """A figure, or nan where there is none."""
    return math.nan if value is None else float(value)


def role(loader: Row) -> str:
    """What a loader is for, from its facts: "training" (steps were made on its batches), "evaluation" or "unused"."""
    return "training" if loader["steps"] else "evaluation" if loader["batches"] else "unused"


def training_call(rows: Rows) -> Location | None:
    """Where the training loop calls the model."""
    return next((r["location"] for r in rows["pass"] if r["facts"]["trained"]), None)
