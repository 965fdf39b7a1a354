"""Recordings that a crash, a full disk or a broken copy has left incomplete: as much of them as can still be read."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import struct
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from dnndoctor.recording.schema import APPLICATION_ID

MAGIC = b"SQLite format 3\x00"
HEADER, LOG_HEADER = 100, 32
MOST_BYTES = 1 << 36
TRIES = 200  # of a table, to find rows behind a damaged place


class Source(Protocol):
    """Where rows are read from."""

    damaged: bool

    def tables(self) -> set[str]:
        """Names of the tables that are there."""

    def rows(self, table: str) -> Iterator[dict[str, Any]]:
        """Each row of one of them, by columns."""


class Whole:
    """An open recording, in which every row can be read."""

    damaged = False

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def tables(self) -> set[str]:
        """Names of the tables that are there."""
        return {name for (name,) in self._database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}

    def rows(self, table: str) -> Iterator[dict[str, Any]]:
        """Each row of one of them, by columns; in the order in which they were written."""
        found = self._database.execute(f'SELECT * FROM "{table}" ORDER BY rowid')  # noqa: S608 - names are ours
        names = [column[0] for column in found.description]
        for row in found:
            yield dict(zip(names, row))  # noqa: B905 - a million rows, each as wide as the names


@dataclass
class Torn:
    """A recording with damaged places, which are passed over; ``missing`` of ``pages`` are not there at all."""

    database: sqlite3.Connection
    pages: int
    missing: int
    damaged: bool = False

    def tables(self) -> set[str]:
        """Names of the tables that are there."""
        return Whole(self.database).tables()

    def rows(self, table: str) -> Iterator[dict[str, Any]]:
        """Each row of one of them that can be read."""
        after, skip = -1, 1
        for _ in range(TRIES):
            try:
                for number, row in self._after(table, after):
                    after, skip = number, 1
                    yield row
            except (sqlite3.Error, OverflowError):
                self.damaged = True
                after, skip = after + skip, 2 * skip
                if after >= 1 << 62:
                    return
            else:
                return

    def _after(self, table: str, number: int) -> Iterator[tuple[int, dict[str, Any]]]:
        query = f'SELECT rowid, * FROM "{table}" WHERE rowid > ? ORDER BY rowid'  # noqa: S608 - names are ours
        found = self.database.execute(query, (number,))
        names = [column[0] for column in found.description][1:]
        for row in found:
            yield row[0], dict(zip(names, row[1:], strict=True))


@contextlib.contextmanager
def salvaged(path: Path) -> Iterator[Torn | None]:
    """A copy of a damaged recording, filled up so that what is there can be read; None where nothing is.

    Never touches the file itself.
    """
    with tempfile.TemporaryDirectory(prefix="dnndoctor-") as folder:
        copy = Path(folder, "recording.dnnrec")
        try:
            pages, missing = _filled(path, copy)
        except (OSError, struct.error, ValueError):
            yield None
            return
        database = sqlite3.connect(copy)
        try:
            yield Torn(database, pages, missing)
        finally:
            database.close()


def _filled(path: Path, copy: Path) -> tuple[int, int]:
    """Copy it with its log, with empty pages for those that are missing; gives how many there are, and are missing.

    Raises ValueError if it is no recording, or nothing is left of it.
    """
    log = Path(f"{path}-wal")
    size = _page_size(path, log)
    shutil.copyfile(path, copy)
    if log.is_file():
        shutil.copyfile(log, f"{copy}-wal")
    there = copy.stat().st_size
    with copy.open("r+b") as file:
        head = file.read(HEADER)
        pages = max(struct.unpack(">I", head[28:32])[0] if len(head) == HEADER else 0, -(-there // size), 1)
        if pages * size > MOST_BYTES:
            raise ValueError
        os.truncate(copy, pages * size)
    return pages, pages - there // size


def _page_size(path: Path, log: Path) -> int:
    with path.open("rb") as file:
        head = file.read(HEADER)
    if len(head) == HEADER:
        size: int = struct.unpack(">H", head[16:18])[0]
        if not head.startswith(MAGIC) or struct.unpack(">I", head[68:72])[0] not in (0, APPLICATION_ID):
            raise ValueError
        size = 65536 if size == 1 else size
    else:  # not so much as the head is left: the log may hold the first page
        if not MAGIC.startswith(head[: len(MAGIC)]):
            raise ValueError
        with log.open("rb") as file:
            size = struct.unpack(">I", file.read(LOG_HEADER)[8:12])[0]
    if size < 512 or size & (size - 1) or size > 65536:
        raise ValueError
    return size
