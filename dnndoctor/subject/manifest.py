"""What the child put aside: JSON lines that only grow, so that a child killed at any moment leaves a valid account.

Each line tells how a path was before the run. A path may be told twice (two processes); its first line counts.
"""

from __future__ import annotations

import json
import os
import stat
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE = "manifest.jsonl"
ASIDE = "aside"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One path as it was.

    ``kind``: "absent", "file", "symlink", "dir"; "overlaid" (nothing below ``path`` reaches the disk), "lost"
    (``note`` says why it could not be looked after). ``aside``: name of the copy. ``dev``, ``ino``, ``ctime_ns``: as
    they were when the original was put aside; where they are still the same, nothing happened to the file.
    """

    kind: str
    path: str
    mode: int = 0
    mtime_ns: int = 0
    atime_ns: int = 0
    uid: int = 0
    gid: int = 0
    dev: int = 0
    ino: int = 0
    ctime_ns: int = 0
    aside: str | None = None
    target: str | None = None
    note: str | None = None


def entry(kind: str, path: str, status: os.stat_result, **more: str) -> Entry:
    """An entry of a path that exists."""
    return Entry(
        kind=kind,
        path=path,
        mode=stat.S_IMODE(status.st_mode),
        mtime_ns=status.st_mtime_ns,
        atime_ns=status.st_atime_ns,
        uid=status.st_uid,
        gid=status.st_gid,
        dev=status.st_dev,
        ino=status.st_ino,
        ctime_ns=status.st_ctime_ns,
        **more,
    )


class Account:
    """The manifest, open for appending; shared by forked children, each line is one write."""

    def __init__(self, scratch: str) -> None:
        self.aside = os.path.join(scratch, ASIDE)
        os.makedirs(self.aside, exist_ok=True)
        self._fd = os.open(os.path.join(scratch, FILE), os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def add(self, line: Entry) -> None:
        """Append one line. Paths that are no text (lone surrogates) survive, as JSON escapes them."""
        told = {key: value for key, value in asdict(line).items() if value}
        os.write(self._fd, json.dumps(told).encode("ascii") + b"\n")


def read(scratch: str) -> Iterator[Entry]:
    """The entries in order; a last line that was cut off by a kill is left out, as its operation never happened."""
    try:
        lines = open(os.path.join(scratch, FILE), "rb").read().split(b"\n")  # noqa: SIM115
    except FileNotFoundError:
        return
    for line in lines[:-1]:
        yield Entry(**json.loads(line))
