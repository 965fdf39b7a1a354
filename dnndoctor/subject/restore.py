"""Putting everything back, in the parent: from the manifest alone, any number of times with the same result."""

from __future__ import annotations

import filecmp
import os
import shutil
import stat
from dataclasses import dataclass

from dnndoctor.subject.manifest import ASIDE, Entry, read


@dataclass(frozen=True, slots=True)
class Restored:
    """``noted``: paths that the guard knew; ``failed``: path and reason; ``overlaid``: folders that nothing reached."""

    noted: frozenset[str] = frozenset()
    failed: tuple[tuple[str, str], ...] = ()
    overlaid: tuple[str, ...] = ()


def restore(scratch: str) -> Restored:
    """Bring every noted path back to how it was at its first touch."""
    entries: dict[str, Entry] = {}
    overlaid: list[str] = []
    failed: dict[str, str] = {}
    for line in read(scratch):
        if line.kind == "overlaid":
            overlaid.append(line.path)
        elif line.kind == "lost":
            failed[line.path] = line.note or "unknown"
        else:
            entries.setdefault(line.path, line)
    # Parents first: what lies below can only be put where its folder is.
    for each in sorted(entries.values(), key=_depth):
        _attempt(each, failed, lambda one: _put_back(one, scratch))
    for each in sorted(entries.values(), key=_depth, reverse=True):
        if each.kind == "dir":
            _attempt(each, failed, _folder_metadata)
    return Restored(frozenset(entries), tuple(failed.items()), tuple(overlaid))


def _depth(line: Entry) -> tuple[int, str]:
    return line.path.count(os.sep), line.path


def _attempt(line: Entry, failed: dict[str, str], step: object) -> None:
    try:
        step(line)  # type: ignore[operator]
    except OSError as error:
        failed[line.path] = error.strerror or str(error)


def _put_back(line: Entry, scratch: str) -> None:
    folder = os.path.dirname(line.path)
    if os.path.realpath(folder) != folder:
        if line.kind == "absent":
            return  # its folder is gone or elsewhere, and so is it
        raise OSError("its folder is a link to another place now")
    _let_write(folder)
    if line.kind == "absent":
        _remove(line.path)
    elif line.kind == "dir":
        _put_folder(line)
    elif line.kind == "symlink":
        _put_link(line)
    elif line.kind == "file":
        _put_file(line, os.path.join(scratch, ASIDE, line.aside or ""))


def _put_folder(line: Entry) -> None:
    now = _status(line.path)
    if now is not None and stat.S_ISDIR(now.st_mode):
        return
    _remove(line.path)
    os.mkdir(line.path)


def _put_link(line: Entry) -> None:
    now = _status(line.path)
    if now is None or not stat.S_ISLNK(now.st_mode) or os.readlink(line.path) != line.target:
        _remove(line.path)
        os.symlink(line.target or "", line.path)
    _own(line)
    os.utime(line.path, ns=(line.atime_ns, line.mtime_ns), follow_symlinks=False)


def _put_file(line: Entry, aside: str) -> None:
    now = _status(line.path)
    if now is not None and (now.st_dev, now.st_ino, now.st_ctime_ns) == (line.dev, line.ino, line.ctime_ns):
        return  # never touched after all
    regular = now is not None and stat.S_ISREG(now.st_mode)
    if not regular or not _same(line.path, aside):
        if regular and now is not None and (now.st_dev, now.st_ino) == (line.dev, line.ino):
            _rewrite(line.path, aside)
        else:
            _replace(line.path, aside)
    _own(line)
    os.chmod(line.path, line.mode)
    os.utime(line.path, ns=(line.atime_ns, line.mtime_ns))


def _same(path: str, aside: str) -> bool:
    try:
        return os.path.samefile(path, aside) or filecmp.cmp(path, aside, shallow=False)
    except PermissionError:
        return False


def _rewrite(path: str, aside: str) -> None:
    """Into the same file, so that its other names and attributes keep."""
    try:
        shutil.copyfile(aside, path)
    except PermissionError:
        os.chmod(path, 0o600)
        shutil.copyfile(aside, path)


def _replace(path: str, aside: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        _remove(path)
    temporary = f"{path}.dnndoctor-restore"
    shutil.copyfile(aside, temporary)
    os.replace(temporary, path)


def _folder_metadata(line: Entry) -> None:
    now = os.lstat(line.path)
    if not stat.S_ISDIR(now.st_mode):
        return
    _own(line)
    if stat.S_IMODE(now.st_mode) != line.mode:
        os.chmod(line.path, line.mode)
    # The time of a folder that everybody writes to (/tmp) is nobody's to set back.
    if now.st_uid == os.geteuid() and not line.mode & stat.S_ISVTX:
        os.utime(line.path, ns=(line.atime_ns, line.mtime_ns))


def _own(line: Entry) -> None:
    now = os.lstat(line.path)
    if (now.st_uid, now.st_gid) != (line.uid, line.gid):
        os.chown(line.path, line.uid, line.gid, follow_symlinks=False)


def _let_write(folder: str) -> None:
    if os.path.isdir(folder) and not os.access(folder, os.W_OK | os.X_OK) and os.stat(folder).st_uid == os.geteuid():
        os.chmod(folder, 0o700)  # set back with the folder's own entry


def _status(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _remove(path: str) -> None:
    status = _status(path)
    if status is None:
        return
    if stat.S_ISDIR(status.st_mode):
        remove_tree(path)
    else:
        os.remove(path)


def remove_tree(path: str) -> None:
    """A folder with all below, also where modes forbid it."""
    for folder, names, _ in os.walk(path):
        for name in names:
            below = os.path.join(folder, name)
            if not os.path.islink(below) and not os.access(below, os.R_OK | os.W_OK | os.X_OK):
                os.chmod(below, 0o700)
    if not os.access(path, os.W_OK | os.X_OK):
        os.chmod(path, 0o700)
    shutil.rmtree(path)
