from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dnndoctor.diagnosis import Outcome
from dnndoctor.subject.parent import SubjectResult, run_subject, tail
from dnndoctor.subject.program import script
from tests.subject.conftest import tree_of

# A child that does what the real one does, without torch.
CHILD = """
import os, sys, time, msgspec, subprocess
from dnndoctor.subject import disk, overlay, protocol
job = msgspec.json.decode(open(sys.argv[-1], "rb").read(), type=protocol.Job)
def tell(phase, step=0, total=0, **ending):
    told = protocol.Ending(**ending) if ending else None
    line = protocol.Progress(phase=phase, step=step, total=total, ending=told, pid=os.getpid())
    with open(job.progress, "ab", buffering=0) as pipe:
        pipe.write(msgspec.json.encode(line) + b"\\n")
def guard(with_overlay=False):
    if with_overlay and not overlay.enter_overlay(job.cwd, (), job.scratch):
        os._exit(77)
    disk.Guard(job.scratch, (job.cwd,), job.keep_files).install()
tell("start")
"""
Run = Callable[..., SubjectResult]


@pytest.fixture
def run(work: Path, scratch: Path) -> Run:
    def _run(code: str, budget: float = 20.0, **more: object) -> SubjectResult:
        settings: dict[str, object] = {"cwd": str(work), "scratch": str(scratch), "grace": 0.3, **more}
        command = (sys.executable, "-c", CHILD + code)
        recording = str(scratch / "r.dnnrec")
        return run_subject(script("train.py"), recording=recording, budget=budget, command=command, **settings)  # type: ignore[arg-type]

    return _run


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_orderly_end(run: Run) -> None:
    told: list[tuple[str, int, int, float]] = []
    code = (
        "tell('observe', 3, 50); tell('learning-rate', 1, 9); print('hello'); print('a\\rb'); "
        "print(os.getcwd()); tell('end', kind='stopped', steps=50)"
    )
    result = run(code, on_progress=lambda *each: told.append(each))
    assert (result.outcome, result.reason, result.steps, result.notes) == (Outcome.EXAMINED, None, 50, ())
    assert result.ending is not None
    assert result.output[:2] == ("hello", "b")
    assert Path(result.log).read_text().startswith("hello\n")
    assert list(result.phases) == ["start", "observe", "learning-rate"]
    assert 0 < sum(result.phases.values()) <= result.wall_seconds
    assert told
    assert all(0 <= left <= 20 for *_, left in told)


def test_script_reads_no_terminal(run: Run) -> None:
    result = run("print(repr(sys.stdin.read())); tell('end', kind='finished', steps=1)")
    assert result.output == ("''",)


@pytest.mark.parametrize(("number", "words"), [("SEGV", "segmentation fault"), ("KILL", "signal 9"), ("ABRT", "abort")])
def test_crash_is_named_and_undone(run: Run, work: Path, number: str, words: str) -> None:
    before = tree_of(work)
    code = (
        "guard(); tell('observe', 2, 50); open('best.pt', 'w').write('x'); os.remove('log.txt'); open('n', 'w')\n"
        f"import signal; signal.signal(signal.SIG{number}, signal.SIG_DFL) if '{number}' != 'KILL' else 0\n"
        f"os.kill(os.getpid(), signal.SIG{number})"
    )
    result = run(code)
    assert result.outcome is Outcome.PARTLY
    assert result.reason is not None
    assert words in result.reason
    assert tree_of(work) == before


def test_budget_ends_a_child_that_does_not_stop(run: Run) -> None:
    began = time.monotonic()
    code = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); tell('observe', 0, 50); time.sleep(60)"
    result = run(code, budget=0.6)
    assert time.monotonic() - began < 6
    assert result.outcome is Outcome.NOT
    assert result.reason is not None
    assert result.reason.startswith("no training step within 0.6 s")


def test_child_that_stops_by_itself_in_the_grace_is_believed(run: Run) -> None:
    code = "time.sleep(max(0, job.deadline - time.monotonic()) + 0.1); tell('end', kind='budget', steps=5)"
    result = run(code, budget=1.0, grace=3.0)
    assert result.outcome is Outcome.PARTLY
    assert result.reason == "the time budget of 1 s ran out"


def test_no_orphan_outlives_the_check(run: Run) -> None:
    code = """
long = f"1{os.getpid()}"
subprocess.Popen(["sleep", long])
subprocess.Popen(["setsid", "sh", "-c", f"sleep {long} & sleep {long}"])
reading, writing = os.pipe()
if os.fork() == 0:
    os.setsid()
    daemon = os.fork()
    if daemon == 0:
        time.sleep(300)
    os.write(writing, str(daemon).encode())
    os._exit(0)
os.wait()
pids = []
while len(pids) < 3:
    listed = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True).stdout
    pids = [line.split()[0] for line in listed.splitlines() if line.endswith("sleep " + long)]
print(os.getpid(), os.read(reading, 20).decode(), *pids)
tell('end', kind='finished', steps=1)
"""
    result = run(code)
    (listed,) = [line for line in result.output if line.replace(" ", "").isdigit()]  # the shell may say "Killed"
    pids = [int(each) for each in listed.split()]
    assert len(pids) >= 5, "child, its daemon, three sleeps"
    assert [pid for pid in pids if not gone(pid)] == []


def test_our_own_other_children_live(run: Run) -> None:
    other = subprocess.Popen(["sleep", "30"])
    try:
        run("tell('end', kind='finished', steps=1)")
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_is_handed_on_and_everything_put_back(run: Run, work: Path, number: int) -> None:
    before = tree_of(work)
    code = """
guard(); open('best.pt', 'w').write('x'); tell('observe', 4, 50); open(job.scratch + '/ready', 'w').close()
try:
    time.sleep(60)
except KeyboardInterrupt:
    tell('end', kind='interrupted', message='interrupted', steps=4)
"""
    scratch = work.parent / "scratch"

    def press() -> None:
        while not (scratch / "ready").exists():
            time.sleep(0.02)
        os.kill(os.getpid(), number)

    was = signal.getsignal(number)
    threading.Thread(target=press, daemon=True).start()
    result = run(code)
    assert (result.outcome, result.reason) == (Outcome.PARTLY, "interrupted after 4 optimizer steps")
    assert tree_of(work) == before
    assert signal.getsignal(number) is was


def test_parent_killed_takes_the_child_along(work: Path, scratch: Path) -> None:
    (work / "t.py").write_text("import time; time.sleep(60)")
    code = (
        "from dnndoctor.subject.parent import run_subject; from dnndoctor.subject.program import script\n"
        f"run_subject(script('t.py'), cwd='.', scratch={str(scratch)!r}, recording={str(scratch / 'r')!r}, budget=60)"
    )
    parent = subprocess.Popen([sys.executable, "-P", "-c", code], cwd=work)
    try:
        time.sleep(1.0)
        family = subprocess.run(["ps", "-o", "pid=", "--ppid", str(parent.pid)], capture_output=True, text=True)
        pids = [int(each) for each in family.stdout.split()]
        assert pids
    finally:
        parent.kill()
        parent.wait()
    until = time.monotonic() + 3
    while time.monotonic() < until and not all(gone(pid) for pid in pids):
        time.sleep(0.05)
    assert all(gone(pid) for pid in pids)


def test_subprocess_writing_under_the_overlay_reaches_nothing(run: Run, work: Path) -> None:
    before = tree_of(work)
    code = (
        "guard(True); subprocess.run(['sh', '-c', 'echo x > best.pt; echo y > new'], check=True); "
        "print(open('best.pt').read()); tell('end', kind='finished', steps=1)"
    )
    result = run(code)
    if result.ending is None:
        pytest.skip("this system allows no overlay")
    assert result.output == ("x",)
    assert (result.overlaid, result.notes) == (True, ())
    assert tree_of(work) == before


def test_without_overlay_what_a_subprocess_wrote_is_put_back(run: Run, work: Path) -> None:
    before = tree_of(work)
    code = (
        "guard(); subprocess.run(['sh', '-c', 'echo x > best.pt; mkdir d; echo y > d/new; rm log.txt'], check=True); "
        "tell('end', kind='finished', steps=1)"
    )
    (note,) = run(code).notes
    place = Path(note.partition(" were moved to ")[2].partition(": ")[0])
    assert (place / "d/new").read_text() == "y\n"
    shutil.rmtree(place)
    assert tree_of(work) == before


def test_what_cannot_be_put_back_is_told(run: Run, work: Path) -> None:
    with (work / "huge.bin").open("wb") as file:
        file.truncate(17 << 20)
    code = (
        "guard(); subprocess.run(['sh', '-c', 'echo x > huge.bin'], check=True); "
        "open('huge.bin', 'a'); tell('end', kind='finished', steps=1)"
    )
    (note,) = run(code).notes
    assert note.endswith(f"could not be put back: {work}/huge.bin")


def test_keep_files(run: Run, work: Path) -> None:
    code = "guard(); open('best.pt', 'w').write('x'); open('n', 'w'); tell('end', kind='finished', steps=1)"
    result = run(code, keep_files=True)
    assert (work / "best.pt").read_text() == "x"
    assert (work / "n").exists()
    assert result.notes == ()


def test_no_stack_trace_where_the_child_cannot_start(run: Run) -> None:
    result = run("raise RuntimeError('ours')")
    assert result.outcome is Outcome.NOT
    told = "the script's process ended with exit code 1 before the first optimizer step: RuntimeError: ours"
    assert result.reason == told


def test_parent_imports_no_torch() -> None:
    code = "import sys, dnndoctor.subject.parent; print({'torch', 'scipy', 'pandas'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_tail_of_nothing(tmp_path: Path) -> None:
    assert tail(str(tmp_path / "none")) == ()
