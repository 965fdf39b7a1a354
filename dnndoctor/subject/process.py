"""Starting the child, finding all that it started, and ending it: nothing of a check outlives it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import struct
import subprocess
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

END_OF_INPUT = b"\x04" * 64  # one for each time that something reads
PR_SET_CHILD_SUBREAPER, PR_GET_CHILD_SUBREAPER = 36, 37
SIGNALS = {
    "SIGSEGV": "segmentation fault",
    "SIGBUS": "bus error",
    "SIGFPE": "arithmetic error",
    "SIGILL": "illegal instruction",
    "SIGABRT": "aborted, as native code does when an assertion of its own fails",
    "SIGKILL": "killed",
    "SIGTERM": "asked to end from outside",
    "SIGXCPU": "limit on processor time",
    "SIGXFSZ": "limit on file size",
    "SIGSYS": "forbidden system call",
}


def signal_in_words(number: int) -> str:
    """ "segmentation fault" for 11; the signal's own name where there is no plain word."""
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
    return SIGNALS.get(name, name)


@contextlib.contextmanager
def silent_terminal() -> Iterator[int]:
    """A descriptor to read from: a terminal of 24 x 80 at which nobody types, as programs ask theirs for its size.

    Whoever reads from it meets its end. Where there are no such terminals, the null device.
    """
    try:
        import fcntl
        import pty
        import termios

        master, slave = pty.openpty()
    except (ImportError, OSError):
        with open(os.devnull, "rb") as nothing:
            yield nothing.fileno()
        return
    try:
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        os.write(master, END_OF_INPUT)
        yield slave
    finally:
        os.close(slave)
        os.close(master)


def start(
    command: Sequence[str], *, cwd: str, environment: Mapping[str, str], reading: int, output: int
) -> subprocess.Popen[bytes]:
    """Start the child in its own session; all that it prints goes to ``output``."""
    return subprocess.Popen(
        command,
        cwd=cwd,
        env=dict(environment),
        stdin=reading,
        stdout=output,
        stderr=output,
        start_new_session=True,
    )


@contextlib.contextmanager
def adopting() -> Iterator[set[int]]:
    """While this holds, processes that lose their parent come to us; gives the children that are not the subject's."""
    before = children(os.getpid())
    was = ctypes.c_int(0)
    if sys.platform == "linux":
        library = ctypes.CDLL(None)
        library.prctl(PR_GET_CHILD_SUBREAPER, ctypes.byref(was), 0, 0, 0)
        library.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield before
    finally:
        if sys.platform == "linux":
            library.prctl(PR_SET_CHILD_SUBREAPER, was.value, 0, 0, 0)


def children(pid: int) -> set[int]:
    """The direct children of a process."""
    return {child for child, (parent, _) in _table().items() if parent == pid}


def end_all(session: int, not_ours: set[int], seconds: float = 3.0) -> None:
    """Kill and reap what the subject left behind: its session, and what left the session and was adopted by us."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        left = _left(session, not_ours)
        if not left:
            return
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        for pid in left:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        time.sleep(0.005)


def signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    """Send a signal to the child and all in its group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _left(session: int, not_ours: set[int]) -> set[int]:
    table = _table()
    me = os.getpid()
    found = {pid for pid, (parent, own) in table.items() if own == session or (parent == me and pid not in not_ours)}
    while True:
        more = {pid for pid, (parent, _) in table.items() if parent in found} - found
        if not more:
            return found - {me}
        found |= more


def _table() -> dict[int, tuple[int, int]]:
    """Parent and session of every process; empty where there is no /proc."""
    table = {}
    try:
        names = [each for each in os.listdir("/proc") if each.isdigit()]
    except FileNotFoundError:
        return {}
    for name in names:
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                # The command's name stands in parentheses and may hold anything.
                fields = file.read().rpartition(b")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        table[int(name)] = (int(fields[1]), int(fields[3]))
    return table


def out_of_memory_kills() -> int | None:
    """How often the kernel killed for memory in our control group; None where that is not told."""
    for path, key in _memory_files():
        try:
            with open(path, encoding="ascii") as file:
                facts = dict(line.split() for line in file if len(line.split()) == 2)
        except OSError:
            continue
        if key in facts:
            return int(facts[key])
    return None


def _memory_files() -> Iterator[tuple[str, str]]:
    try:
        with open("/proc/self/cgroup", encoding="utf-8") as file:
            lines = [line.rstrip("\n").split(":", 2) for line in file]
    except OSError:
        return
    for _, controllers, path in lines:
        if controllers == "":
            yield f"/sys/fs/cgroup{path.rstrip('/')}/memory.events", "oom_kill"
            yield "/sys/fs/cgroup/memory.events", "oom_kill"
        elif "memory" in controllers.split(","):
            yield f"/sys/fs/cgroup/memory{path.rstrip('/')}/memory.oom_control", "oom_kill"
            yield "/sys/fs/cgroup/memory/memory.oom_control", "oom_kill"
