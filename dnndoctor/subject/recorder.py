"""Recordings of processes that may turn out to train nothing: the file is made when there is something to write."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Mapping
from typing import Any

from dnndoctor.recording.writer import Writer


class LateWriter(Writer):
    """A writer whose file is made at its first row, and begins with ``facts`` of the run."""

    def __init__(self, path: str, facts: Mapping[str, Any]) -> None:
        self._path, self._facts = path, facts
        self._made: sqlite3.Connection | None = None
        self._open = False

    @property
    def _db(self) -> sqlite3.Connection:
        if self._made is None:
            self._make()
        assert self._made is not None
        return self._made

    @_db.setter
    def _db(self, connection: sqlite3.Connection) -> None:
        self._made = connection

    def _make(self) -> None:
        if os.path.exists(self._path):
            self._made = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            self._made.execute("PRAGMA synchronous = OFF")
            return
        super().__init__(self._path)
        self.run(**self._facts)
        self.commit()


def copied(recording: str, path: str, facts: Mapping[str, Any]) -> LateWriter:
    """A writer that goes on from what another process has written until now."""
    for suffix in ("", "-wal"):
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(recording + suffix, path + suffix)
    return LateWriter(path, facts)
