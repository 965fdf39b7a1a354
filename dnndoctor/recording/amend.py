"""Adds to a recording that whoever wrote it has left, what only others know."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path


def amend(path: Path, **facts: object) -> bool:
    """Put facts of the run into a finished recording, and fold what a killed writer left into the one file.

    Gives whether that could be done; the recording stays as it is otherwise.
    """
    rows = [(key, json.dumps(value)) for key, value in facts.items()]
    try:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
            database.executemany("INSERT OR REPLACE INTO run (key, value) VALUES (?, ?)", rows)
            database.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error:
        return False
    return True
