"""Programs that do not want to be examined end in time, with a report, no process left and the disk as before."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dnndoctor.diagnosis import Outcome
from dnndoctor.subject.log import KEPT_BYTES
from dnndoctor.subject.parent import SubjectResult, run_subject
from dnndoctor.subject.program import script
from tests.subject.conftest import tree_of

TRAIN = """
import os, signal, sys, threading, time
import torch
from torch import nn
BEFORE
torch.manual_seed(0)
x = torch.randn(64, 8); y = (x.sum(1) > 0).long()
model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=1e-1)
for step in range(STEPS):
    loss = nn.functional.cross_entropy(model(x), y)
    optimizer.zero_grad(); loss.backward(); optimizer.step()
    DURING
AFTER
"""
Hold = Callable[..., SubjectResult]


@pytest.fixture
def hold(tmp_path: Path, work: Path, scratch: Path) -> Hold:
    """Run it for real, without probes, and look at what it leaves behind."""

    def run(
        before: str = "", during: str = "pass", after: str = "", steps: int = 100_000, budget: float = 25.0
    ) -> SubjectResult:
        source = TRAIN.replace("BEFORE", before).replace("DURING", during).replace("AFTER", after)
        path = work / "train.py"
        path.write_text(source.replace("STEPS", str(steps)))
        was, began = tree_of(work), time.monotonic()
        result = run_subject(
            script(str(path)),
            cwd=str(work),
            scratch=str(scratch),
            recording=str(scratch / "recording.dnnrec"),
            budget=budget,
            steps=10,
            probes=False,
            grace=1.0,
        )
        assert time.monotonic() - began < budget + 6
        assert tree_of(work) == was
        assert left_behind(scratch) == []
        assert result.outcome is Outcome.EXAMINED or result.reason
        return result

    return run


def left_behind(scratch: Path) -> list[int]:
    """Every process of a check has the scratch folder's name in its environment."""
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        try:
            if str(scratch).encode() in (each / "environ").read_bytes():
                found.append(int(each.name))
        except OSError:
            continue
    return found


def recorded_steps(result: SubjectResult) -> int:
    with sqlite3.connect(result.recording) as database:
        return int(database.execute("SELECT count(*) FROM step").fetchone()[0])


def test_loop_before_any_training_deaf_to_signals(hold: Hold) -> None:
    before = (
        "for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM): signal.signal(number, lambda *_: None)\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)\n"
        "while True: pass"
    )
    result = hold(before, budget=4)
    assert result.reason == "no training step within 4 s; a larger --budget gives the script more time"


def test_native_loop_with_every_signal_blocked(hold: Hold) -> None:
    before = (
        "import ctypes\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\n"
        "ctypes.PyDLL(None).sleep(1000)  # holds the interpreter's lock"
    )
    assert hold(before, budget=4).outcome is Outcome.NOT


def test_endless_output(hold: Hold) -> None:
    line = "[(os.write(1, b'y' * (1 << 20)), print('loss ' * 20000)) for _ in range(20)]"
    result = hold(during=line, steps=15)
    assert result.outcome is Outcome.EXAMINED
    assert 2 * KEPT_BYTES <= Path(result.log).stat().st_size < 2 * KEPT_BYTES + 100


def test_deletes_itself_and_its_folder(hold: Hold) -> None:
    before = (
        "import shutil\n"
        "shutil.rmtree(os.path.dirname(os.path.abspath(__file__)))\n"
        "shutil.rmtree(os.getcwd(), ignore_errors=True)\n"
        "assert not os.path.exists('best.pt') and not os.path.exists(__file__)"
    )
    result = hold(before)
    assert (result.outcome, result.reason) == (Outcome.EXAMINED, None)


def test_children_that_outlive_it(hold: Hold) -> None:
    before = """
for escape in (os.setsid, os.setpgrp, lambda: None):
    if os.fork() == 0:
        escape()
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        if os.fork() == 0:
            while True:
                time.sleep(1)
        os._exit(0)
"""
    assert hold(before).outcome is Outcome.EXAMINED


def test_raises_in_del_and_has_its_own_backward(hold: Hold) -> None:
    before = """
class Bad:
    def __del__(self):
        raise RuntimeError("in __del__")
original = torch.Tensor.backward
def backward(self, *args, **kwargs):
    Bad()
    return original(self, *args, **kwargs)
torch.Tensor.backward = backward
"""
    assert hold(before, during="Bad()").outcome is Outcome.EXAMINED


CATCHING = """
def forever(x, y):
    model = nn.Linear(8, 2); optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    while True:
        try:
            loss = nn.functional.cross_entropy(model(x), y)
            optimizer.zero_grad(); loss.backward(); optimizer.step()
        except BaseException:
            pass
"""


def test_catches_whatever_is_raised_in_its_loop(hold: Hold) -> None:
    result = hold(CATCHING + "forever(torch.randn(64, 8), torch.zeros(64).long())")
    assert (result.outcome, result.reason) == (Outcome.EXAMINED, None)
    assert result.wall_seconds < 20


def test_catches_it_in_a_thread_while_the_main_one_sleeps(hold: Hold) -> None:
    start = "threading.Thread(target=forever, args=(torch.randn(64, 8), torch.zeros(64).long())).start()\n"
    result = hold(CATCHING + start + "time.sleep(1000)")
    assert (result.outcome, result.reason) == (Outcome.EXAMINED, None)


def test_goes_on_for_ever_after_it_was_stopped(hold: Hold) -> None:
    before = CATCHING.replace("pass", "time.sleep(1000)") + "forever(torch.randn(64, 8), torch.zeros(64).long())"
    result = hold(before)
    assert (result.outcome, result.reason) == (Outcome.EXAMINED, None)
    assert result.wall_seconds < 20


@pytest.mark.parametrize(("code", "outcome"), [(0, Outcome.EXAMINED), (3, Outcome.PARTLY)])
def test_leaves_at_once(hold: Hold, code: int, outcome: Outcome) -> None:
    result = hold(after=f"os._exit({code})", steps=6)
    assert (result.outcome, recorded_steps(result)) == (outcome, 6)


def test_dies_of_a_segmentation_fault_with_its_own_handler_on(hold: Hold) -> None:
    before = "import ctypes, faulthandler; faulthandler.enable()"
    result = hold(before, "if step == 7: ctypes.string_at(0)")
    assert result.outcome is Outcome.PARTLY
    assert "segmentation fault" in (result.reason or "")
    assert recorded_steps(result) >= 5


def test_closes_every_descriptor(hold: Hold) -> None:
    before = """
for number in range(256):
    try:
        os.close(number)
    except OSError:
        pass
os.closerange(0, 256)
mine = [os.open("mine", os.O_CREAT | os.O_RDWR) for _ in range(9)]
"""
    result = hold(before, during="assert all(os.fstat(each).st_size == 0 for each in mine)")
    assert (result.outcome, result.reason) == (Outcome.EXAMINED, None)


def test_fills_the_memory(hold: Hold) -> None:
    before = (
        "import resource\n"
        "size = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (size + (1 << 30), size + (1 << 30)))\n"
        "hoard = []\n"
        "while True: hoard.append(bytearray(1 << 26))"
    )
    assert (hold(before).reason or "").startswith("memory ran out before the first optimizer step: MemoryError")


def test_threads_and_exit_handlers_that_never_end(hold: Hold) -> None:
    before = (
        "import atexit; atexit.register(time.sleep, 1000)\nthreading.Thread(target=time.sleep, args=(1000,)).start()"
    )
    result = hold(before, steps=6)
    assert (result.outcome, result.reason) == (Outcome.EXAMINED, None)
    assert result.wall_seconds < 20


def test_asks_for_input(hold: Hold) -> None:
    reason = hold("name = input('Which run? ')").reason or ""
    assert reason.startswith("the script asks for input at ")
    assert "train.py:" in reason


def test_draws_on_the_terminal(hold: Hold) -> None:
    before = """
try:
    import curses; curses.initscr()
except Exception as error:
    print(type(error).__name__)
os.system("stty -echo")
try:
    open("/dev/tty", "w").write("drawn over")
except OSError:
    print("no terminal")
"""
    result = hold(before)
    assert result.outcome is Outcome.EXAMINED
    assert "no terminal" in Path(result.log).read_text()


def test_becomes_itself_again_and_again(hold: Hold) -> None:
    assert hold("os.execv(sys.executable, [sys.executable, __file__])", budget=8).outcome is Outcome.NOT


def test_works_in_a_folder_that_is_gone(hold: Hold) -> None:
    before = "import tempfile\nplace = tempfile.mkdtemp(); os.chdir(place); os.rmdir(place)"
    result = hold(before)
    assert (result.outcome, result.reason) == (Outcome.EXAMINED, None)
