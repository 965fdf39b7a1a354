"""A throw-away layer over the working directory, where the system allows one: nothing written there reaches the disk.

It holds for native code and for subprocesses too. The process enters a mount namespace of its own (inside a user
namespace, unless it is root) and mounts an overlay over each folder. What is refused on the way is found out in a
throw-away fork, so that a refusal leaves this process as it was.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import json
import os
import re
import shutil
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
MS_BIND, MS_REC, MS_SLAVE = 1 << 12, 1 << 14, 1 << 19
CAPABILITY_VERSION_3 = 0x20080522
# Never under an overlay: a system without them as they are does not work.
SYSTEM = ("/", "/dev", "/etc", "/proc", "/run", "/sys", "/tmp", "/usr", "/var")  # noqa: S108 - named to be left alone

SHARED = "layers.json"


@dataclass(frozen=True, slots=True)
class Layers:
    """The folders under an overlay, and the ones below them that show the disk itself."""

    folders: tuple[str, ...] = ()
    through: tuple[str, ...] = ()
    user_namespace: bool = False

    def covers(self, path: str) -> bool:
        """Whether what is written to this path is thrown away."""
        return _below(path, self.folders) and not _below(path, self.through)


_active = Layers()


def active() -> Layers:
    """What this process stands on."""
    return _active


def share(scratch: str) -> None:
    """Tell the processes that this one starts what they stand on, too."""
    told = {"folders": _active.folders, "through": _active.through, "user_namespace": _active.user_namespace}
    with open(os.path.join(scratch, SHARED), "w", encoding="utf-8") as file:
        json.dump(told, file)


def inherit(scratch: str) -> None:
    """In such a process: know it."""
    global _active
    with open(os.path.join(scratch, SHARED), encoding="utf-8") as file:
        told = json.load(file)
    _active = Layers(tuple(told["folders"]), tuple(told["through"]), told["user_namespace"])


def enter_overlay(cwd: str, extra_dirs: Iterable[str], scratch: str) -> bool:
    """Put an overlay over ``cwd`` and ``extra_dirs``; False, and nothing changed, where that cannot be had.

    To be called while the process has one thread. Upper layers lie in ``scratch`` or, where its file system cannot
    carry them, in memory. ``scratch`` and ``.dnndoctor`` folders keep showing the disk.
    """
    global _active
    if sys.platform != "linux" or _threads() > 1:
        return False
    cwd = os.path.abspath(cwd)
    try:
        folders = _folders(cwd, extra_dirs)
        layers = Layers(folders, tuple(_through(folders, scratch)), os.geteuid() != 0)
    except OSError:
        return False
    if not folders:
        return False
    # An upper layer below its own lower one would be seen through itself.
    for in_memory in (True,) if _below(os.path.realpath(scratch), folders) else (False, True):
        enter = functools.partial(_enter, layers, cwd, scratch, in_memory)
        if _succeeds_in_fork(functools.partial(enter, "trial")):
            enter("layers")
            _active = layers
            return True
    return False


def mend() -> None:
    """What an overlay refuses and a plain folder allows.

    Without privilege (EXDEV) to rename a folder of its lower layer: it is copied, as ``mv`` does. And (EBUSY) to remove
    the very folder that it lies over: that is left, empty, as if it were gone.
    """
    if _active.user_namespace:
        for name in ("rename", "replace"):
            setattr(os, name, _copying(getattr(os, name)))
    if _active.folders:
        os.rmdir = _sparing(os.rmdir)
        os.supports_dir_fd.add(os.rmdir)


def _sparing(rmdir: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(rmdir)
    def remove(path: Any, *, dir_fd: int | None = None) -> None:
        try:
            rmdir(path, dir_fd=dir_fd)
        except OSError as error:
            if error.errno != errno.EBUSY or dir_fd is not None or _real(path) not in _active.folders:
                raise

    return remove


def _copying(rename: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(rename)
    def move(src: Any, dst: Any, **descriptors: Any) -> None:
        try:
            rename(src, dst, **descriptors)
        except OSError as error:
            ours = error.errno == errno.EXDEV and not any(v is not None for v in descriptors.values())
            if not ours or not _covered_folder(src) or not _active.covers(_real(dst)):
                raise
            if os.path.lexists(dst):
                os.rmdir(dst)
            shutil.copytree(src, dst, symlinks=True)
            shutil.rmtree(src)

    return move


def _covered_folder(path: Any) -> bool:
    return os.path.isdir(path) and not os.path.islink(path) and _active.covers(_real(path))


def _real(path: Any) -> str:
    folder, name = os.path.split(os.path.abspath(os.fsdecode(path)))
    return os.path.join(os.path.realpath(folder), name)


def _below(path: str, folders: Iterable[str]) -> bool:
    return any(path == each or path.startswith(each.rstrip(os.sep) + os.sep) for each in folders)


def _threads() -> int:
    return len(os.listdir("/proc/self/task"))


def _folders(cwd: str, extra_dirs: Iterable[str]) -> tuple[str, ...]:
    wanted = {os.path.realpath(each) for each in (cwd, *extra_dirs) if os.path.isdir(each)}
    allowed = [each for each in wanted if each not in SYSTEM and not _below(each, ("/dev", "/proc", "/sys"))]
    outermost = [each for each in allowed if not _below(os.path.dirname(each), [o for o in allowed if o != each])]
    return tuple(sorted(outermost))


def _through(folders: tuple[str, ...], scratch: str) -> Iterator[str]:
    """Folders that keep showing the disk: ours, and other file systems, which an overlay would hide."""
    ours = [os.path.realpath(scratch), *(os.path.join(each, ".dnndoctor") for each in folders)]
    yield from (each for each in ours if _below(each, folders) and os.path.isdir(each))
    for point in _mount_points():
        if _below(point, folders) and point not in folders:
            if not os.path.isdir(point):
                raise OSError(errno.EOPNOTSUPP, "a mounted file lies below", point)
            yield point


def _mount_points() -> Iterator[str]:
    with open("/proc/self/mountinfo", "rb") as file:
        for line in file:
            # Blanks in the name are written as octal escapes.
            yield os.fsdecode(re.sub(rb"\\(\d{3})", lambda found: bytes([int(found[1], 8)]), line.split()[4]))


def _succeeds_in_fork(attempt: Callable[[], None]) -> bool:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            attempt()
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(pid, 0)[1] == 0


def _enter(layers: Layers, cwd: str, scratch: str, in_memory: bool, name: str) -> None:
    uid, gid = os.geteuid(), os.getegid()
    _call("unshare", CLONE_NEWNS | (CLONE_NEWUSER if layers.user_namespace else 0))
    if layers.user_namespace:
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{uid} {uid} 1")
        _write("/proc/self/gid_map", f"{gid} {gid} 1")
    _mount("none", "/", None, MS_REC | MS_SLAVE)
    base = os.path.join(os.path.realpath(scratch), name)
    os.makedirs(base, exist_ok=True)
    if in_memory:
        _mount("tmpfs", base, "tmpfs", 0)
    held = {point: os.open(point, os.O_PATH | os.O_DIRECTORY) for point in sorted(layers.through)}
    for number, folder in enumerate(layers.folders):
        _overlay(folder, os.path.join(base, str(number)), layers.user_namespace)
    for point, descriptor in held.items():
        _mount(f"/proc/self/fd/{descriptor}", point, None, MS_BIND | MS_REC)
        os.close(descriptor)
    os.chdir(cwd)  # the old working directory is below the overlay
    _can_write(layers.folders)
    if layers.user_namespace:
        _drop_capabilities()


def _overlay(folder: str, base: str, user_namespace: bool) -> None:
    upper, work = os.path.join(base, "upper"), os.path.join(base, "work")
    os.makedirs(upper)
    os.makedirs(work)
    status = os.stat(folder)
    os.chmod(upper, status.st_mode & 0o7777)
    if not user_namespace:
        os.chown(upper, status.st_uid, status.st_gid)
    os.utime(upper, ns=(status.st_atime_ns, status.st_mtime_ns))
    paths = f"lowerdir={_escaped(folder)},upperdir={_escaped(upper)},workdir={_escaped(work)}"
    _mount("overlay", folder, "overlay", 0, paths + (",userxattr" if user_namespace else ",redirect_dir=on"))


def _escaped(path: str) -> str:
    return "".join("\\" + each if each in "\\:," else each for each in path)


def _can_write(folders: Iterable[str]) -> None:
    for folder in folders:
        if os.access(folder, os.W_OK):
            trial = os.path.join(folder, f".dnndoctor-{os.getpid()}")
            os.close(os.open(trial, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
            os.unlink(trial)


def _drop_capabilities() -> None:
    """Inside of its user namespace the process could write to the user's read-only files."""
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    _call("capset", header, (ctypes.c_uint32 * 6)())


def _mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    texts = [None if each is None else os.fsencode(each) for each in (source, target, kind, data)]
    _call("mount", texts[0], texts[1], texts[2], ctypes.c_ulong(flags), texts[3])


def _call(name: str, *args: Any) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, name)(*args) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
