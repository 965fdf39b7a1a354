"""The guard in the child: before a file is first touched, its original is put aside for the parent to put back.

It sees what Python itself does, by an audit hook, and what named native writers do, by wrappers (``native``).
Reading costs nothing. An operation is refused, as on a full disk, only where its original cannot be put aside.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING, Any

from dnndoctor.subject import native, overlay
from dnndoctor.subject.aside import Aside, CannotProtectError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
SYSTEM = ("/dev", "/proc", "/sys")


class Guard:
    """Keeps the originals of everything that this process and its forks change outside of ``scratch``.

    ``roots``: the working directories, whose ``.dnndoctor`` is ours. With ``keep_files`` nothing is guarded.
    """

    def __init__(self, scratch: str, roots: Iterable[str], keep_files: bool = False) -> None:
        roots = [os.path.realpath(root) for root in roots]
        ours = [os.path.join(root, ".dnndoctor") for root in roots]
        self._ours = (os.path.realpath(scratch), *ours, *SYSTEM)
        self._overlay = overlay.active()
        self._libraries = tuple({os.path.realpath(each) for each in (sys.prefix, sys.base_prefix)})
        self._roots = roots
        self._keep_files = keep_files
        self._scratch = scratch
        self._inside = threading.local()
        self._lock = threading.Lock()
        self._events = self._handlers()

    def install(self) -> None:
        """From now on; a hook of this kind cannot be taken out again."""
        if self._keep_files:
            return
        self._aside = Aside(self._scratch, self._is_ours)
        for folder in self._overlay.folders:
            self._aside.overlaid(folder)
        os.register_at_fork(after_in_child=self._after_fork)
        native.install(self.before_write)
        overlay.mend()
        sys.addaudithook(self._hook)

    def before_write(self, path: object) -> None:
        """For native writers, which no audit hook sees."""
        if isinstance(path, str | bytes | os.PathLike):
            self._enter(self._write, path)

    def _after_fork(self) -> None:
        self._lock = threading.Lock()  # whoever held it is not in this process

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        handler = self._events.get(event)
        if handler is None or (event == "open" and not args[2] & WRITING):
            return
        self._enter(handler, *args)

    def _enter(self, handler: Callable[..., None], *args: Any) -> None:
        if getattr(self._inside, "busy", False):
            return
        self._inside.busy = True
        try:
            with self._lock:
                handler(*args)
        except CannotProtectError:
            raise
        except Exception as error:  # noqa: BLE001 - a fault of ours must not become the script's; told in the notes
            self._aside.lost(str(args[0] if args else ""), repr(error))
        finally:
            self._inside.busy = False

    def _handlers(self) -> dict[str, Callable[..., None]]:
        return {
            "open": lambda path, _mode, _flags: self._write(path),
            "os.truncate": lambda path, _length: self._write(path),
            "os.rename": self._rename,
            "os.remove": self._remove,
            "os.rmdir": self._remove,
            "os.mkdir": lambda path, _mode, dir_fd=-1: self._aside.before_appear(_entry(path, dir_fd)),
            "os.link": self._link,
            "os.symlink": lambda _source, target, dir_fd=-1: self._aside.before_appear(_entry(target, dir_fd)),
            "os.chmod": lambda path, _mode, dir_fd=-1: self._attributes(path, dir_fd),
            "os.chown": lambda path, _uid, _gid, dir_fd=-1: self._attributes(path, dir_fd),
            "os.utime": lambda path, _times, _ns, dir_fd=-1: self._attributes(path, dir_fd),
            "sqlite3.connect": self._database,
            "subprocess.Popen": self._before_other_program,
            "os.system": self._before_other_program,
            "os.posix_spawn": self._before_other_program,
            "os.exec": self._before_other_program,
        }

    def _write(self, path: Any) -> None:
        if isinstance(path, int):
            return  # an open file: it was seen when it was opened
        self._aside.before_write(_target(path))

    def _remove(self, path: Any, dir_fd: int = -1) -> None:
        name = _entry(path, dir_fd)
        if os.path.lexists(name):
            self._aside.before_leave(name)

    def _rename(self, source: Any, target: Any, source_fd: int = -1, target_fd: int = -1) -> None:
        name = _entry(source, source_fd)
        if os.path.lexists(name):
            self._aside.before_leave(name)
            self._aside.before_leave(_entry(target, target_fd))

    def _link(self, source: Any, target: Any, source_fd: int = -1, target_fd: int = -1) -> None:
        # From now on the same content can be written under another name.
        self._aside.before_write(_target(source, source_fd))
        self._aside.before_appear(_entry(target, target_fd))

    def _attributes(self, path: Any, dir_fd: int = -1) -> None:
        # Whether a link itself or its target is meant is not told: both are looked after.
        if not isinstance(path, int):
            self._aside.before_touch(_entry(path, dir_fd))
        self._aside.before_touch(_target(path, dir_fd))

    def _database(self, database: Any) -> None:
        name = os.fsdecode(database)
        if name in ("", ":memory:"):
            return
        if name.startswith("file:"):
            name = name.removeprefix("file:").partition("?")[0]
        for suffix in ("", "-journal", "-wal", "-shm"):
            self._write(name + suffix)

    def _before_other_program(self, *_: Any) -> None:
        """What another program writes is not seen: put aside what it is likely to meet, once."""
        roots, self._roots = self._roots, []
        for root in roots:
            if not self._overlay.covers(root):
                self._aside.before_anything(root)

    def _is_ours(self, path: str) -> bool:
        if _within(path, self._ours) or self._overlay.covers(path):
            return True
        # Compiled files of installed libraries are Python's cache and no doing of the script.
        return (path.endswith(".pyc") or "/__pycache__" in path) and _within(path, self._libraries)


def guard_torch() -> None:
    """Wrap the writers of torch, where that did not happen as it was imported."""
    native.apply_loaded()


def _within(path: str, folders: Iterable[str]) -> bool:
    return any(path == each or path.startswith(each + os.sep) for each in folders)


def _absolute(path: Any, dir_fd: int) -> str:
    if isinstance(path, int):
        return os.readlink(f"/proc/self/fd/{path}")
    text = os.fsdecode(path)
    if not os.path.isabs(text) and isinstance(dir_fd, int) and dir_fd >= 0:
        return os.path.join(os.readlink(f"/proc/self/fd/{dir_fd}"), text)
    return os.path.join(os.getcwd(), text)


def _target(path: Any, dir_fd: int = -1) -> str:
    """What is written to: links are followed."""
    return os.path.realpath(_absolute(path, dir_fd))


def _entry(path: Any, dir_fd: int = -1) -> str:
    """The name itself: a link at its end is not followed."""
    absolute = _absolute(path, dir_fd).rstrip(os.sep) or os.sep
    folder, name = os.path.split(absolute)
    if name in ("", ".", ".."):
        return os.path.realpath(absolute)
    return os.path.join(os.path.realpath(folder), name)
