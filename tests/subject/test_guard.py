from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dnndoctor.subject.restore import restore
from tests.subject.conftest import run_guarded, tree_of

Guarded = Callable[[str], subprocess.CompletedProcess[str]]

CASES = {
    "overwritten": "open('best.pt', 'w').write('new')",
    "appended": "open('log.txt', 'a').write('more')",
    "changed in place": "f = open('best.pt', 'r+b'); f.seek(3); f.write(b'X'); f.close()",
    "written by os.open": "import os; os.write(os.open('best.pt', os.O_WRONLY | os.O_TRUNC), b'x')",
    "truncated": "import os; os.truncate('best.pt', 2)",
    "removed": "import os; os.remove('best.pt')",
    "renamed": "import os; os.rename('best.pt', 'old.pt')",
    "renamed over": "import os; open('new', 'w').write('n'); os.replace('new', 'best.pt')",
    "renamed, then written under the new name": "import os; os.rename('best.pt', 'o'); open('o', 'w').write('x')",
    "linked, then written under the new name": "import os; os.link('best.pt', 'o'); open('o', 'w').write('x')",
    "made a folder": "import os; os.remove('best.pt'); os.mkdir('best.pt'); open('best.pt/x', 'w').close()",
    "made a link": "import os; os.remove('best.pt'); os.symlink('log.txt', 'best.pt')",
    "mode": "import os; os.chmod('best.pt', 0o777)",
    "time": "import os; os.utime('best.pt')",
    "new": "open('new.txt', 'w').write('x')",
    "new folders": "import os; os.makedirs('runs/a/b'); open('runs/a/b/events', 'w').write('x')",
    "a lock, made for reading": "import os; os.open('lock', os.O_RDONLY | os.O_CREAT)",
    "in a thread": "from threading import Thread as T; t = T(target=lambda: open('best.pt', 'w')); t.start(); t.join()",
    "in a fork": "import os\nif os.fork() == 0:\n    open('best.pt', 'w').write('x'); os._exit(0)\nos.wait()",
    "numpy": "import numpy; numpy.zeros(3).tofile('best.pt'); numpy.save('a.npy', numpy.zeros(3))",
    "memory map": "import numpy; numpy.memmap('best.pt', mode='r+', dtype='u1')[:] = 7",
    "database": "import sqlite3; c = sqlite3.connect('db'); c.execute('create table t (x)'); c.commit()",
    "moved by shutil": "import shutil; shutil.move('best.pt', 'backup.pt')",
    "killed": "import os; open('best.pt', 'w').write('x'); os.mkdir('d'); os.kill(os.getpid(), 9)",
}


@pytest.mark.parametrize("code", CASES.values(), ids=CASES.keys())
def test_everything_comes_back(code: str, guarded: Guarded, work: Path, scratch: Path) -> None:
    before = tree_of(work)
    done = guarded(code)
    assert not done.stderr
    assert tree_of(work) != before, "the case does nothing"
    assert restore(str(scratch)).failed == ()
    assert tree_of(work) == before
    assert restore(str(scratch)).failed == ()
    assert tree_of(work) == before


def test_folder_with_all_below_comes_back(guarded: Guarded, work: Path, scratch: Path) -> None:
    (work / "data/raw").mkdir(parents=True)
    (work / "data/raw/a.bin").write_bytes(bytes(range(256)))
    (work / "data/link").symlink_to("raw")
    (work / "data/raw").chmod(0o500)
    os.utime(work / "data", (1e9, 1e9))
    before = tree_of(work)
    for code in ("import shutil; shutil.rmtree('data')", "import os; os.rename('data', 'old'); os.mkdir('data')"):
        assert not guarded(code).stderr
        assert tree_of(work) != before
        restore(str(scratch))
        assert tree_of(work) == before
        (scratch / "manifest.jsonl").unlink()


def test_large_file_renamed_then_written(guarded: Guarded, work: Path, scratch: Path) -> None:
    (work / "large.pt").write_bytes(os.urandom(3 << 20))
    before = tree_of(work)
    code = "import os; os.rename('large.pt', 'o.pt'); f = open('o.pt', 'r+b'); f.write(b'0' * 100); f.close()"
    assert not guarded(code).stderr
    restore(str(scratch))
    assert tree_of(work) == before


def test_other_names_of_a_file_keep_being_the_same_file(guarded: Guarded, work: Path, scratch: Path) -> None:
    os.link(work / "best.pt", work / "other.pt")
    os.utime(work / "best.pt", (1e9, 1e9))
    before = tree_of(work)
    guarded("open('best.pt', 'w').write('x')")
    restore(str(scratch))
    assert tree_of(work) == before
    assert (work / "best.pt").samefile(work / "other.pt")


def test_what_is_outside_of_the_working_directory_comes_back(guarded: Guarded, tmp_path: Path, scratch: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/a").write_text("a")
    (tmp_path / "work/link").symlink_to(tmp_path / "elsewhere")
    before = tree_of(tmp_path / "elsewhere")
    guarded("open('link/a', 'w').write('x'); open('../elsewhere/b', 'w')")
    restore(str(scratch))
    assert tree_of(tmp_path / "elsewhere") == before


def test_our_own_folder_is_left_alone(guarded: Guarded, work: Path, scratch: Path) -> None:
    (work / ".dnndoctor").mkdir()
    guarded("open('.dnndoctor/x.dnnrec', 'w').write('kept')")
    restore(str(scratch))
    assert (work / ".dnndoctor/x.dnnrec").read_text() == "kept"


def test_reading_and_failing_leave_no_account(guarded: Guarded, scratch: Path) -> None:
    done = guarded("import os; open('best.pt').read(); os.makedirs('.', exist_ok=True); os.listdir('.')")
    assert not done.stderr
    assert (scratch / "manifest.jsonl").read_text() == ""


def test_keep_files_keeps(work: Path, scratch: Path) -> None:
    code = "from dnndoctor.subject.disk import Guard; import sys; Guard(sys.argv[1], ('.',), True).install()"
    subprocess.run([sys.executable, "-c", code + "; open('n', 'w')", str(scratch)], cwd=work, check=True)
    restore(str(scratch))
    assert (work / "n").exists()


def test_refused_where_the_original_cannot_be_put_aside(guarded: Guarded, work: Path, scratch: Path) -> None:
    code = "import shutil, os\ndef full(*_): raise OSError(28, 'No space left')\nshutil.copyfile = full\n"
    done = guarded(code + "try: open('best.pt', 'w')\nexcept OSError as e: print(e.errno)")
    assert done.stdout == "28\n"
    assert (work / "best.pt").read_bytes() == b"the best of last week"


def test_line_cut_off_by_a_kill_is_no_line(guarded: Guarded, work: Path, scratch: Path) -> None:
    before = tree_of(work)
    guarded("open('best.pt', 'w').write('x')")
    with (scratch / "manifest.jsonl").open("a") as file:
        file.write('{"kind": "abs')
    assert restore(str(scratch)).failed == ()
    assert tree_of(work) == before


NAMES = st.sampled_from(["a", "b", "d", "d/a", "d/b", "d/e", "d/e/a", "n", "n/a", "l"])
OPERATIONS = {
    "create": "open({0!r}, 'w').write({1!r})",
    "append": "open({0!r}, 'a').write({1!r})",
    "truncate": "os.truncate({0!r}, 1)",
    "rename": "os.rename({0!r}, {1!r})",
    "replace": "os.replace({0!r}, {1!r})",
    "move": "shutil.move({0!r}, {1!r})",
    "delete": "os.remove({0!r})",
    "mkdir": "os.makedirs({0!r}, exist_ok=True)",
    "rmdir": "os.rmdir({0!r})",
    "rmtree": "shutil.rmtree({0!r})",
    "symlink": "os.symlink({0!r}, {1!r})",
    "link": "os.link({0!r}, {1!r})",
    "chmod": "os.chmod({0!r}, 0o755)",
    "utime": "os.utime({0!r})",
    "kill": "os.kill(os.getpid(), 9)",
}
STEPS = st.lists(st.tuples(st.sampled_from(sorted(OPERATIONS)), NAMES, NAMES), min_size=1, max_size=14)
LOOP = """
import os, shutil
for step in steps:
    try:
        eval(step)
    except OSError:
        pass
    except shutil.Error:
        pass
"""


def _plant(root: Path) -> None:
    for folder in ("d/e", "f"):
        (root / folder).mkdir(parents=True)
    for name in ("a", "d/a", "d/e/a", "d/b"):
        (root / name).write_text(f"content of {name}")
        (root / name).chmod(0o600)
    (root / "l").symlink_to("d")
    for path in (*sorted(root.rglob("*"), reverse=True), root):
        os.utime(path, ns=(10**18, 10**18 + len(str(path))), follow_symlinks=False)


@pytest.fixture(scope="module")
def server() -> Callable[[list[str], Path, Path], None]:
    """Runs each sequence in a fork of one warm interpreter: a start per example would cost the time of the test."""

    def run(steps: list[str], work: Path, scratch: Path) -> None:
        pid = os.fork()
        if pid == 0:
            try:
                os.chdir(work)
                from dnndoctor.subject.disk import Guard

                Guard(str(scratch), (str(work),)).install()
                exec(LOOP, {"steps": steps})
            finally:
                os._exit(0)
        os.waitpid(pid, 0)

    return run


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example([("delete", "d/a", "a"), ("move", "d/e", "d/a"), ("rename", "a", "d")])
@given(STEPS)
def test_any_sequence_comes_back(
    server: Callable[[list[str], Path, Path], None], steps: list[tuple[str, str, str]]
) -> None:
    with tempfile.TemporaryDirectory() as place:
        work, scratch = Path(place, "work"), Path(place, "scratch")
        work.mkdir()
        scratch.mkdir()
        _plant(work)
        before = tree_of(work)
        server([OPERATIONS[name].format(one, other) for name, one, other in steps], work, scratch)
        for _ in range(2):
            done = restore(str(scratch))
            assert done.failed == ()
            assert tree_of(work) == before


TORCH = """
import torch
with torch.no_grad():
    linear = torch.nn.Linear(2, 2)
torch.save(linear.state_dict(), "best.pt")
torch.jit.save(torch.jit.script(linear), "script.pt")
torch.from_file("map.bin", shared=True, size=4)[:] = 7
assert torch.load("best.pt")["weight"].equal(linear.weight)
torch.jit.load("script.pt")
"""


def test_native_writers_of_torch(work: Path, scratch: Path) -> None:
    (work / "script.pt").write_bytes(b"old")
    (work / "map.bin").write_bytes(bytes(16))
    before = tree_of(work)
    done = run_guarded(TORCH, work, scratch, OMP_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr
    assert tree_of(work) != before
    restore(str(scratch))
    assert tree_of(work) == before


def test_native_writers_that_are_imported_late(work: Path, scratch: Path, tmp_path: Path) -> None:
    package = tmp_path / "site/safetensors"
    package.mkdir(parents=True)
    # The stand-in writes as native code does: unseen by the audit hook.
    (package / "__init__.py").write_text(
        "import subprocess\ndef serialize_file(tensors, filename, metadata=None):\n"
        "    subprocess.run(['sh', '-c', 'echo new > ' + filename])\n"
    )
    (package / "torch.py").write_text(
        "from safetensors import serialize_file\ndef save_file(t, f): serialize_file(t, f)\n"
    )
    before = tree_of(work)
    code = "from safetensors.torch import save_file; save_file({}, 'best.pt'); save_file({}, 'new.st')"
    done = run_guarded(code, work, scratch, PYTHONPATH=str(package.parent), PYTHONDONTWRITEBYTECODE="1")
    assert not done.stderr
    assert (work / "best.pt").read_text() == "new\n"
    restore(str(scratch))
    assert tree_of(work) == before
