"""From the paths that the user names to the files that a reader knows."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from dnndoctor.postmortem.kept import is_checkpoint
from dnndoctor.postmortem.log import Log, Nothing, Reader, Unreadable
from dnndoctor.postmortem.names import Role, role
from dnndoctor.postmortem.readers import READERS

HEAD = 4096
MOST_FILES = 20_000
DEEPEST = 8
NOT_LOOKED_AT = frozenset("__pycache__ node_modules .git .venv site-packages artifacts code".split())


@dataclass(slots=True)
class Found:
    """What was read, and what was not, with the reasons."""

    logs: list[tuple[Reader, Log]] = field(default_factory=list)
    checkpoints: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def search(paths: Iterable[Path]) -> Found:
    """Read everything at the paths that a reader claims.

    Raises Unreadable if a path is not there, or nothing at all could be read; one that is named itself and cannot be
    read is told in the notes else.
    """
    found, problems = Found(), list[str]()
    for path in paths:
        if not path.exists():
            raise Unreadable(f"{path}: no such file or folder")
        if path.is_dir() and not is_checkpoint(path) and not _own(path, asked=False):
            _read_folder(path, found, problems)
        else:
            _read_named(path, found, problems)
    if not found.logs and not found.checkpoints:
        raise Unreadable(problems[0] if problems else f"{', '.join(map(str, paths))}: holds no log that can be read")
    found.notes += problems
    return found


def checkpoints_at(paths: Iterable[Path]) -> list[Path]:
    """The checkpoints among the paths and below them."""
    files = (each for path in paths for each in (_walk(path) if path.is_dir() else (path,)))
    return [each for each in files if is_checkpoint(each)]


def _read_named(path: Path, found: Found, problems: list[str]) -> None:
    if is_checkpoint(path):
        found.checkpoints.append(path)
        return
    reader = _own(path, asked=True)
    if reader is None:
        problems.append(f"{path}: is of no kind that can be read; see dnndoctor postmortem --help")
        return
    try:
        found.logs.append((reader, _read(reader, path)))
    except Unreadable as why:
        problems.append(str(why))


def _read_folder(folder: Path, found: Found, problems: list[str]) -> None:
    before, empty = len(found.logs) + len(found.checkpoints), list[str]()
    for path in _walk(folder):
        if is_checkpoint(path):
            found.checkpoints.append(path)
            continue
        reader = _own(path, asked=False)
        if reader is None:
            continue
        try:
            log = _read(reader, path)
        except Nothing as why:
            empty.append(str(why))
            continue
        except Unreadable as why:
            if reader.name not in ("text", "CSV", "JSON lines"):  # a folder holds texts that are no logs
                problems.append(str(why))
            continue
        if _tells_loss(log):
            found.logs.append((reader, log))
    if len(found.logs) + len(found.checkpoints) == before:
        problems += empty
    if len(found.logs) + len(found.checkpoints) == before and not problems:
        problems.append(f"{folder}: holds no log with a loss that can be read")


def _tells_loss(log: Log) -> bool:
    return any(role(each.name) in (Role.LOSS, Role.VALIDATION_LOSS) for each in log.series)


def _read(reader: Reader, path: Path) -> Log:
    try:
        return reader.read(path)
    except OSError as why:
        raise Unreadable(f"{path}: {why.strerror or type(why).__name__}") from None


def _own(path: Path, *, asked: bool) -> Reader | None:
    head = _head(path)
    return next((each for each in READERS if (asked or not each.asked) and each.claims(path, head)), None)


def _head(path: Path) -> bytes:
    if not path.is_file():
        return b""
    try:
        with path.open("rb") as stream:
            return stream.read(HEAD)
    except OSError:
        return b""


def _walk(folder: Path) -> Iterator[Path]:
    """Files, and folders that are one thing, below a folder; links to folders are not followed."""
    seen, start = 0, len(folder.parts)
    for place, folders, files in os.walk(folder, followlinks=False):
        here = Path(place)
        if len(here.parts) - start > DEEPEST:
            folders.clear()
        folders[:] = sorted(each for each in folders if each not in NOT_LOOKED_AT)
        if here != folder and (is_checkpoint(here) or _own(here, asked=False)):
            folders.clear()
            yield here
            continue
        for name in sorted(files):
            seen += 1
            if seen > MOST_FILES:
                return
            if (here / name).is_file():  # no pipes, no devices
                yield here / name
