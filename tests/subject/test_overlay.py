from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.subject.conftest import tree_of

if TYPE_CHECKING:
    from pathlib import Path

ENTER = """
import ctypes, os, subprocess, sys
from dnndoctor.subject import overlay
from dnndoctor.subject.disk import Guard
if sys.argv[2:]:
    os.setgroups([]); os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[2]))
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # after a change of user /proc/self is not ours, otherwise
if not overlay.enter_overlay(".", (), sys.argv[1]):
    sys.exit(77)
Guard(sys.argv[1], (".",)).install()
def sh(line):
    subprocess.run(["sh", "-c", line], check=True)
"""
NOBODY = "65534"
USERS = ["as we are", pytest.param("nobody", marks=pytest.mark.skipif(os.geteuid() != 0, reason="needs root"))]


def _run(code: str, work: Path, scratch: Path, user: str = "as we are") -> str:
    extra = []
    if user == "nobody":
        extra = [NOBODY]
        for path in (work.parent, scratch, work, *work.rglob("*")):
            times = path.lstat()
            os.chown(path, int(NOBODY), int(NOBODY), follow_symlinks=False)
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns), follow_symlinks=False)
        for folder in work.parents:  # pytest keeps its folders to their owner
            if folder.stat().st_mode & 0o055 != 0o055 and str(folder).startswith("/tmp/"):
                folder.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-c", ENTER + code, str(scratch), *extra],
        cwd=work,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 77:
        pytest.skip("this system allows no overlay")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("user", USERS)
def test_nothing_reaches_the_disk(work: Path, scratch: Path, user: str) -> None:
    code = "sh('echo new > best.pt; echo n > new; rm log.txt; mkdir d'); open('x', 'w').write('y')\n"
    (work / "sub").mkdir()
    (work / "sub/f").write_text("f")
    if user == "nobody":
        _run("", work, scratch, user)
    before = tree_of(work)
    out = _run(code + "print(sorted(os.listdir('.')), open('best.pt').read())", work, scratch, user)
    assert out == "['best.pt', 'd', 'new', 'sub', 'x'] new\n\n"
    assert tree_of(work) == before


@pytest.mark.parametrize("user", USERS)
def test_folders_can_be_renamed(work: Path, scratch: Path, user: str) -> None:
    (work / "sub").mkdir()
    (work / "sub/f").write_text("f")
    code = "os.rename('sub', 'other'); os.mkdir('sub'); os.replace('other', 'sub'); print(open('sub/f').read())"
    assert _run(code, work, scratch, user) == "f\n"
    assert (work / "sub/f").read_text() == "f"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_read_only_files_stay_read_only(work: Path, scratch: Path) -> None:
    (work / "best.pt").chmod(0o400)
    code = "try: open('best.pt', 'w')\nexcept PermissionError: print('refused', os.getuid())"
    assert _run(code, work, scratch, "nobody") == f"refused {NOBODY}\n"


def test_our_folders_show_the_disk(work: Path) -> None:
    scratch = work / "tmp scratch, odd:name"
    scratch.mkdir()
    (work / ".dnndoctor").mkdir()
    code = "sh('echo kept > .dnndoctor/a'); open(sys.argv[1] + '/b', 'w').write('kept'); sh('echo gone > c')"
    _run(code, work, scratch)
    assert (work / ".dnndoctor/a").read_text() == "kept\n"
    assert (scratch / "b").read_text() == "kept"
    assert not (work / "c").exists()


def test_odd_names(tmp_path: Path, scratch: Path) -> None:
    work = tmp_path / "a,b:c\\d e"
    work.mkdir()
    _run("sh('echo gone > c'); assert os.path.exists('c')", work, scratch)
    assert list(work.iterdir()) == []


def test_guard_keeps_to_what_lies_outside(work: Path, scratch: Path) -> None:
    _run("open('best.pt', 'w').write('x'); open('../outside', 'w').write('x')", work, scratch)
    manifest = (scratch / "manifest.jsonl").read_text()
    assert "best.pt" not in manifest
    assert str(work.parent / "outside") in manifest


def test_refusal_leaves_the_process_as_it_was(work: Path, scratch: Path) -> None:
    code = (
        "import os, sys\nfrom dnndoctor.subject import overlay\n"
        "overlay._mount = lambda *_: (_ for _ in ()).throw(OSError(1, 'no'))\n"
        "was = os.readlink('/proc/self/ns/mnt')\n"
        "print(overlay.enter_overlay('.', (), sys.argv[1]), was == os.readlink('/proc/self/ns/mnt'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(scratch)], cwd=work, capture_output=True, text=True, check=True
    )
    assert done.stdout == "False True\n"
    assert done.stderr == ""


def test_system_folders_and_threads_are_declined(scratch: Path) -> None:
    code = (
        "import sys, threading\nfrom dnndoctor.subject import overlay\n"
        "print(overlay.enter_overlay('/', (), sys.argv[1]), overlay.enter_overlay('/tmp', (), sys.argv[1]))\n"
        "e = threading.Event(); threading.Thread(target=e.wait).start()\n"
        "print(overlay.enter_overlay('.', (), sys.argv[1])); e.set()"
    )
    done = subprocess.run([sys.executable, "-c", code, str(scratch)], cwd=scratch, capture_output=True, text=True)
    assert done.stdout == "False False\nFalse\n"
