from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

Tree = dict[str, tuple[object, ...]]
GUARD = """
import sys
from dnndoctor.subject import overlay
from dnndoctor.subject.disk import Guard
guard = Guard(sys.argv[1], (".",))
guard.install()
"""


def tree_of(root: Path) -> Tree:
    """Everything that must come back: kind, mode, time, content; of links the target."""
    found: Tree = {}
    for path in [root, *root.rglob("*")]:
        status = path.lstat()
        kind = stat.S_IFMT(status.st_mode)
        if path.is_symlink():
            content: object = os.readlink(path)
        else:
            content = path.read_bytes() if path.is_file() else None
        found[str(path.relative_to(root))] = (kind, stat.S_IMODE(status.st_mode), status.st_mtime_ns, content)
    return found


def run_guarded(code: str, cwd: Path, scratch: Path, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", GUARD + code, str(scratch)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **more},
    )


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "best.pt").write_bytes(b"the best of last week")
    (folder / "log.txt").write_text("line\n")
    (folder / "best.pt").chmod(0o640)
    os.utime(folder / "best.pt", (1e9, 1e9))
    os.utime(folder, (1e9, 1e9))
    return folder


Guarded = Callable[[str], subprocess.CompletedProcess[str]]


@pytest.fixture
def guarded(work: Path, scratch: Path) -> Guarded:
    return lambda code: run_guarded(code, work, scratch)
