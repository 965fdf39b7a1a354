"""Opens a recording and gives its rows; knows the schema, judges nothing."""

from __future__ import annotations

import json
import math
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnndoctor.findings import Location
from dnndoctor.recording import schema

Row = dict[str, Any]
_JSON = frozenset(("facts", "inputs", "parameters", "shape", "input_shape", "attributes", "value"))


@dataclass(frozen=True, slots=True)
class Points:
    """The points of one logged series; arrays [points], nan where nothing is known."""

    step: NDArray[np.float64]
    value: NDArray[np.float64]
    time: NDArray[np.float64]
    line: NDArray[np.float64]


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
    """Read a whole recording.

    Raises ValueError, with one line for people, if it is not there, unreadable, foreign, or newer than this reader.
    """
    if not path.is_file():
        raise ValueError(f"{path}: there is no such recording")
    try:
        database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            return _rows(path, database)
        finally:
            database.close()
    except sqlite3.Error as error:
        raise ValueError(f"{path}: not a recording of dnndoctor ({error})") from None


def _rows(path: Path, database: sqlite3.Connection) -> Rows:
    [application] = database.execute("PRAGMA application_id").fetchone()
    [version] = database.execute("PRAGMA user_version").fetchone()
    if application != schema.APPLICATION_ID:
        raise ValueError(f"{path}: a database, but not a recording of dnndoctor")
    if version > schema.VERSION:
        raise ValueError(f"{path}: recorded by a newer dnndoctor (schema {version}, this one reads {schema.VERSION})")
    there = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    tables = {}
    for quoted in schema.TABLES:
        name = quoted.strip('"')
        if name in there and name != "point":  # a run of a million steps has millions of them
            tables[name] = _table(database.execute(f'SELECT * FROM "{name}"'))  # noqa: S608
    points = _points(database) if "point" in there else {}
    return Rows(tables, {row["key"]: row["value"] for row in tables.get("run", [])}, points)


def _points(database: sqlite3.Connection) -> dict[int, Points]:
    found = database.execute("SELECT series, step, value, time, line FROM point ORDER BY rowid")
    parts = [np.zeros((0, 5))]
    while rows := found.fetchmany(100_000):
        parts.append(np.asarray(rows, np.float64))  # what is null becomes nan
    table = np.concatenate(parts)
    return {int(series): Points(*table[table[:, 0] == series, 1:].T) for series in np.unique(table[:, 0])}


def _table(found: sqlite3.Cursor) -> list[Row]:
    """Its rows; what to decode is told from the columns, since a long run has a million rows."""
    names = [column[0] for column in found.description]
    coded = [name for name in names if name in _JSON]
    rows: list[Row] = [dict(zip(names, row, strict=True)) for row in found]
    for row in rows if coded else ():
        for key in coded:
            if isinstance(row[key], str):
                row[key] = json.loads(row[key])
    for row in rows if "file" in names else ():
        row["location"] = place(row) if row["file"] else None
    return rows


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
