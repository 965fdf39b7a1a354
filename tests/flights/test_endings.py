"""However a recorded training ends, its own exit code comes out, and the report says how it ended."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.flights.flying import LOOP, command, environment, report_of, run


def test_a_training_that_ends_well(tmp_path: Path) -> None:
    ran = run(tmp_path, LOOP + "steps(200)")
    assert (ran.code, ran.codes, ran.printed) == (0, {}, ""), ran
    assert ran.found["target"]["outcome"] == "examined"
    assert ran.found["run"]["recording"] == ".dnndoctor/train.dnnrec"
    assert "recording to .dnndoctor/train.dnnrec" in ran.said
    assert {each.name for each in tmp_path.iterdir()} == {"train.py", ".dnndoctor", "found.json"}


@pytest.mark.parametrize(
    ("end", "code", "severity", "said"),
    [
        # A hook of the program's own, as that of rich, does not hide what was raised.
        ("sys.excepthook = lambda *_: None; raise ValueError('no such thing')", 1, "error", "ValueError: no such"),
        ("sys.exit(3)", 3, "info", "exit code 3"),
        ("os._exit(4)", 4, "info", "exit code 4"),
        ("time.sleep(3); os.kill(os.getpid(), 9)", 137, "error", "SIGKILL"),
        ("time.sleep(3); os.kill(os.getpid(), 15)", 143, "info", "SIGTERM"),
    ],
)
def test_a_training_that_breaks_off(tmp_path: Path, end: str, code: int, severity: str, said: str) -> None:
    ran = run(tmp_path, f"{LOOP}steps(200)\n{end}\n")
    assert (ran.code, ran.codes.get("LOP111")) == (code, severity), ran
    assert said in next(each["message"] for each in ran.found["findings"] if each["rule"] == "LOP111")


def test_findings_are_the_exit_code_only_of_a_training_that_ends_well(tmp_path: Path) -> None:
    (tmp_path / "found.json").unlink(missing_ok=True)
    sick = LOOP + "optimizer.param_groups[0]['lr'] = 1e30\nsteps(200)\n"
    ran = run(tmp_path, sick)
    assert ran.code == 1, ran
    assert "NUM101" in ran.codes
    assert run(tmp_path, sick, options=("--exit-zero",)).code == 0
    assert run(tmp_path, sick + "sys.exit(7)").code == 7


def test_what_trains_nothing_is_not_examined(tmp_path: Path) -> None:
    ran = run(tmp_path, "print('hello')")
    assert (ran.code, ran.printed) == (2, "hello\n")
    assert "no optimizer made a step" in ran.said
    assert not list((tmp_path / ".dnndoctor").glob("*.dnnrec"))
    assert run(tmp_path, "import sys; sys.exit(5)").code == 5


SIGNALS = (
    LOOP
    + """
import signal
heard = []
signal.signal(signal.SIGTERM, lambda *_: heard.append("term"))
signal.signal(signal.SIGUSR2, lambda *_: heard.append("usr2"))
print("ready", flush=True)
until = time.time() + 20
while "term" not in heard and time.time() < until:
    steps(1)
steps(5)
print(*sorted(heard), flush=True)
sys.exit(6)
"""
)


def test_signals_reach_the_program_once(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(SIGNALS)
    args = command("train.py")
    with subprocess.Popen(args, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGUSR2)
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "term usr2\n"
        assert process.wait(60) == 6
    assert "LOP111" in {each["rule"] for each in report_of(tmp_path)["findings"]}


TERMINAL = (
    LOOP
    + """
print(sys.stdin.isatty(), sys.stdout.isatty(), sys.stderr.isatty(), input(), flush=True)
times = 0
try:
    while True:
        steps(1)
except KeyboardInterrupt:
    times += 1
    try:
        time.sleep(1)  # a second Ctrl-C would come meanwhile
    except KeyboardInterrupt:
        times += 1
    print("interrupted", times, flush=True)
    raise
"""
)


def test_the_terminal_is_the_programs(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(TERMINAL)
    bare, recorded = _at_terminal(tmp_path, sys.executable, "train.py"), _at_terminal(tmp_path, *command("train.py"))
    assert recorded == (128 - bare if bare < 0 else bare)
    assert {each["rule"]: each["severity"] for each in report_of(tmp_path)["findings"]} == {"LOP111": "info"}


def _at_terminal(folder: Path, *words: str) -> int:
    """Type a line, and then Ctrl-C."""
    pid, terminal = pty.fork()
    if not pid:
        os.chdir(folder)
        os.execve(words[0], words, environment())
    os.write(terminal, b"typed\n")
    _read_until(terminal, b"True True True typed")
    time.sleep(0.5)
    os.write(terminal, b"\x03")
    _read_until(terminal, b"interrupted 1")
    while _read(terminal):
        pass
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _read_until(terminal: int, wanted: bytes) -> bytes:
    seen = b""
    while wanted not in seen:
        chunk = _read(terminal)
        assert chunk, seen
        seen += chunk
    return seen


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # the other end is closed
        return b""


def test_a_run_that_is_killed_takes_its_program_along(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(LOOP + "print(os.getpid(), flush=True)\nwhile True: steps(1)\n")
    args = command("train.py")
    with subprocess.Popen(args, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        time.sleep(3)
        process.kill()
    until = time.monotonic() + 10
    while _runs(child):
        assert time.monotonic() < until
        time.sleep(0.05)
    shown = [*command()[:3], "report", ".dnndoctor/train.dnnrec", "--output-format", "json"]
    done = subprocess.run(shown, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
    assert '"outcome": "examined"' in done.stdout, done


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except OSError:
        return False
    return state != b"Z"  # nobody may wait for it here


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--overhead", "much"), '--overhead: "much" is no share above 0: write 1% or 0.01'),
        (("--max-size", "3"), '--max-size: "3" is no size of 100KB or more'),
        (("--recording", "away/x.dnnrec"), "away/x.dnnrec: cannot be written: there is no folder away"),
        (("--recording", "train.py"), "train.py: is no recording, and stays as it is"),
    ],
)
def test_wrong_usage_is_one_line(tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    ran = run(tmp_path, "print('never')", options=options)
    assert (ran.code, ran.printed) == (2, "")
    assert ran.said.startswith(f"dnndoctor: {said}"), ran.said
    assert ran.said.count("\n") == 1
