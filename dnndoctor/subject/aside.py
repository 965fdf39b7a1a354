"""Putting originals aside: how each path was before the run, noted once, before it is changed."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import time
from collections import deque
from typing import TYPE_CHECKING

from dnndoctor.subject.manifest import Account, Entry, entry

if TYPE_CHECKING:
    from collections.abc import Callable

# A copy of this size costs about a millisecond; larger files that are only renamed or removed are linked.
LINK_FROM_BYTES = 1 << 20

# What is copied before another program starts where there is no overlay: some 0.1 s on a slow disk.
EAGER_BYTES, EAGER_FILE_BYTES, EAGER_SECONDS = 64 << 20, 16 << 20, 1.0


class CannotProtectError(OSError):
    """The original could not be put aside, so that it must not be changed."""


class Aside:
    """The state of every path at its first touch; ``is_ours`` says which paths are left alone."""

    def __init__(self, scratch: str, is_ours: Callable[[str], bool]) -> None:
        self._account = Account(scratch)
        self._is_ours = is_ours
        self._noted: set[str] = set()
        self._no_folder: set[str] = set()  # what was absent, a file or a link: all below it is new
        self._complete: set[str] = set()
        self._links: dict[tuple[int, int], str] = {}
        self._count = 0
        self._began = time.monotonic_ns()  # a process that became another program has the same number as before

    def before_write(self, path: str) -> None:
        """The content of the file at ``path`` is about to change."""
        if self._is_ours(path):
            return
        self._note(path, copy=True)
        self._unlink_aside(path)

    def before_touch(self, path: str) -> None:
        """Only the mode, owner or times are about to change."""
        if not self._is_ours(path):
            self._note(path, copy=False)

    def before_appear(self, path: str) -> None:
        """The name is about to be made; where there is one already, making it fails and changes nothing."""
        if not os.path.lexists(path) and not self._is_ours(path):
            self._note(path, copy=False)

    def before_leave(self, path: str) -> None:
        """The name is about to vanish or to stand for something else, with all that is below it."""
        if self._is_ours(path):
            return
        self._note(path, copy=False)
        if path in self._complete or path in self._no_folder or not _is_folder(path):
            return
        folders = []
        for folder, names, files in os.walk(path):
            for name in names + files:
                self._note(os.path.join(folder, name), copy=False)
            folders.append(folder)
        self._complete.update(folders)

    def before_anything(self, root: str) -> None:
        """Anything below ``root`` may be changed unseen: put aside small files, nearest first, as far as is cheap."""
        bytes_left, until, waiting = EAGER_BYTES, time.monotonic() + EAGER_SECONDS, deque([root])
        while waiting and time.monotonic() < until:
            for each in _entries(waiting.popleft()):
                # What cannot be read is no reason to keep the script from starting another program.
                with contextlib.suppress(OSError):
                    if each.is_dir(follow_symlinks=False):
                        waiting.append(each.path)
                    elif (size := each.stat(follow_symlinks=False).st_size) <= min(EAGER_FILE_BYTES, bytes_left):
                        bytes_left -= size
                        self._note(each.path, copy=True)

    def overlaid(self, folder: str) -> None:
        """Tell the parent that nothing below this folder reaches the disk."""
        self._account.add(Entry(kind="overlaid", path=folder))

    def lost(self, path: str, why: str) -> None:
        """Tell the parent that a path could not be looked after."""
        self._account.add(Entry(kind="lost", path=path, note=why))

    def _note(self, path: str, *, copy: bool) -> None:
        parent = os.path.dirname(path)
        self._note_path(parent, copy=False)  # a folder's own time changes with its entries
        self._note_path(path, copy=copy)

    def _note_path(self, path: str, *, copy: bool) -> None:
        if path in self._noted or self._is_ours(path):
            return
        ancestors = _ancestors(path)
        if any(each in self._no_folder for each in ancestors):
            return  # its folder is new: it goes with it
        try:
            status = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            status = None
        # Below a folder that was noted as a whole, what was not noted then is new, whoever made it.
        if status is None or any(each in self._complete for each in ancestors):
            self._account.add(Entry(kind="absent", path=path))
            self._no_folder.add(path)
        else:
            self._note_present(path, status, copy)
            if not stat.S_ISDIR(status.st_mode):
                self._no_folder.add(path)
        self._noted.add(path)

    def _note_present(self, path: str, status: os.stat_result, copy: bool) -> None:
        if stat.S_ISDIR(status.st_mode):
            self._account.add(entry("dir", path, status))
        elif stat.S_ISLNK(status.st_mode):
            self._account.add(entry("symlink", path, status, target=os.readlink(path)))
        elif stat.S_ISREG(status.st_mode):
            self._account.add(entry("file", path, status, aside=self._put_aside(path, status, copy)))

    def _put_aside(self, path: str, status: os.stat_result, copy: bool) -> str:
        self._count += 1
        name = f"{os.getpid()}-{self._began}-{self._count}"
        target = os.path.join(self._account.aside, name)
        if not copy and status.st_size >= LINK_FROM_BYTES and _link(path, target):
            self._links[status.st_dev, status.st_ino] = target
            return name
        try:
            shutil.copyfile(path, target)
        except OSError as error:
            _remove(target)
            raise CannotProtectError(
                error.errno, f"dnndoctor could not put the original aside, so it is left alone: {error.strerror}", path
            ) from None
        return name

    def _unlink_aside(self, path: str) -> None:
        """An original that was only linked shares its content with the file that is now written to."""
        try:
            status = os.stat(path)
        except OSError:
            return
        target = self._links.pop((status.st_dev, status.st_ino), None)
        if target is not None:
            shutil.copyfile(target, target + "~")
            os.replace(target + "~", target)


def _ancestors(path: str) -> list[str]:
    """Nearest first, without the root."""
    found = []
    parent = os.path.dirname(path)
    while parent not in ("", os.sep):
        found.append(parent)
        parent = os.path.dirname(parent)
    return found


def _entries(folder: str) -> list[os.DirEntry[str]]:
    """Of a folder that a script works in; of hidden ones and of virtual environments nothing."""
    if os.path.basename(folder).startswith(".") or os.path.exists(os.path.join(folder, "pyvenv.cfg")):
        return []
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda each: each.name)
    except OSError:
        return []


def _is_folder(path: str) -> bool:
    return os.path.isdir(path) and not os.path.islink(path)


def _link(path: str, target: str) -> bool:
    try:
        os.link(path, target)
    except OSError:  # another file system, or a file of somebody else
        return False
    return True


def _remove(path: str) -> None:
    if os.path.lexists(path):
        os.remove(path)
