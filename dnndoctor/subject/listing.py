"""The last net: the working directory before and after, for what neither overlay nor guard saw."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ENTRIES = 50_000
SECONDS = 2.0
SKIPPED = frozenset({".git", ".dnndoctor"})


@dataclass(frozen=True, slots=True)
class Listing:
    """Each path with size, time (ns) and inode. ``complete`` is False where the bound on entries or time was met."""

    entries: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    complete: bool = True
    taken_ns: int = 0


def take(root: str, entries: int = ENTRIES, seconds: float = SECONDS) -> Listing:
    """List ``root``; links are not followed."""
    found: dict[str, tuple[int, int, int]] = {}
    began, until = time.time_ns(), time.monotonic() + seconds
    for each in _walk(os.path.realpath(root)):
        if len(found) >= entries or time.monotonic() > until:
            return Listing(found, False, began)
        status = each.stat(follow_symlinks=False)
        is_folder = stat.S_ISDIR(status.st_mode)
        found[each.path] = (0, 0, status.st_ino) if is_folder else (status.st_size, status.st_mtime_ns, status.st_ino)
    return Listing(found, True, began)


def _walk(folder: str) -> Iterator[os.DirEntry[str]]:
    waiting = [folder]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for each in entries:
                    if each.name not in SKIPPED:
                        yield each
                        if each.is_dir(follow_symlinks=False):
                            waiting.append(each.path)
        except (FileNotFoundError, PermissionError):
            continue  # gone meanwhile, or not ours to read


def clear_up(before: Listing, after: Listing, known: Iterable[str]) -> list[str]:
    """Notes on what changed behind the guard's back. New files are moved out of the way, not deleted: they might be
    somebody's work that was saved during the check."""
    noted = set(known)
    new = [path for path in after.entries if path not in before.entries and path not in noted]
    if not before.complete:
        new = []
    changed = sorted(path for path in before.entries if _differs(path, before, after, path in noted))
    return [*_move_away(_outermost(new), before.taken_ns), *_tell_changed(changed)]


def _differs(path: str, before: Listing, after: Listing, put_back: bool) -> bool:
    was, now = before.entries[path], after.entries.get(path)
    if now is None:
        return after.complete
    # What was put back may be another inode; where more differs, somebody had been there before the guard.
    return now[:2] != was[:2] if put_back else now != was


def _outermost(paths: list[str]) -> list[str]:
    all_new = set(paths)
    return sorted(path for path in paths if os.path.dirname(path) not in all_new)


def _move_away(paths: list[str], since_ns: int) -> Iterator[str]:
    ours = [path for path in paths if _made_by_us_since(path, since_ns)]
    if not ours:
        return
    place = tempfile.mkdtemp(prefix="dnndoctor-set-aside-")
    moved, stuck = [], []
    for path in ours:
        folder = os.path.dirname(path)
        times = os.stat(folder)
        try:
            shutil.move(path, place)
            os.utime(folder, ns=(times.st_atime_ns, times.st_mtime_ns))
            moved.append(path)
        except OSError as error:
            stuck.append(f"{path} ({error.strerror})")
    if moved:
        yield f"new files that a subprocess or native code wrote were moved to {place}: {_some(moved)}"
    if stuck:
        yield f"new files that could not be removed: {_some(stuck)}"


def _made_by_us_since(path: str, since_ns: int) -> bool:
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return False
    # The clock of file times ticks every few milliseconds: allow for one tick.
    return status.st_uid == os.geteuid() and status.st_ctime_ns >= since_ns - 20_000_000


def _tell_changed(paths: list[str]) -> Iterator[str]:
    gone = [path for path in paths if not os.path.lexists(path)]
    other = [path for path in paths if os.path.lexists(path)]
    if other:
        yield f"changed during the check by a subprocess or native code and could not be put back: {_some(other)}"
    if gone:
        yield f"removed during the check by a subprocess or native code and could not be put back: {_some(gone)}"


def _some(paths: list[str], most: int = 5) -> str:
    rest = f" and {len(paths) - most} more" if len(paths) > most else ""
    return ", ".join(paths[:most]) + rest
