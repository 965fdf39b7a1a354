"""What ``watch`` says and does while the training runs: findings, reports on demand, an early end."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import dnndoctor
from dnndoctor.workspace import BadInput
from tests.flights.flying import LOOP, environment

WATCHED = LOOP.replace(
    "def steps", "import dnndoctor\nwatching = dnndoctor.watch(model, optimizer{options})\ndef steps"
)


def program(options: str = "") -> str:
    return WATCHED.replace("{options}", options)


def ran(folder: Path, source: str, **variables: str) -> subprocess.CompletedProcess[str]:
    (folder / "train.py").write_text(source)
    return subprocess.run(
        [sys.executable, "train.py"],
        cwd=folder,
        env={**environment(), **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_loss_that_breaks_is_told_and_ends_the_training(tmp_path: Path) -> None:
    source = program(", stop_on='NUM101'") + (
        "steps(50)\n"
        "optimizer.param_groups[0]['lr'] = 1e30\n"
        "try:\n"
        "    until = time.time() + 60\n"
        "    while time.time() < until:\n"
        "        steps(1); time.sleep(0.01)\n"
        "    print('never stopped')\n"
        "finally:\n"
        "    print('cleared away')\n"
    )
    done = ran(tmp_path, source)
    assert done.stdout == "cleared away\n", done
    assert done.returncode != 0
    assert done.stderr.count("NUM101 [error]") == 1
    assert "NUM101 ends the training" in done.stderr
    assert list((tmp_path / ".dnndoctor").glob("*.box"))


def test_a_sound_training_is_told_nothing_of_and_starts_no_companion(tmp_path: Path) -> None:
    done = ran(tmp_path, program() + "steps(200); watching.close(); print(watching._companion._process)")
    assert (done.stdout, done.stderr, done.returncode) == ("None\n", "", 0)


@pytest.mark.parametrize(("rank", "told"), [("0", 1), ("1", 0)])
def test_of_several_ranks_the_first_one_tells(tmp_path: Path, rank: str, told: int) -> None:
    source = program() + "steps(50); optimizer.param_groups[0]['lr'] = 1e30; steps(50)"
    done = ran(tmp_path, source, RANK=rank, WORLD_SIZE="2")
    assert done.returncode == 0, done
    assert done.stderr.count("NUM101 [error]") == told
    assert len(list((tmp_path / ".dnndoctor").glob("*.box"))) == 1


def test_a_report_is_written_when_it_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(
        program()
        + "print('ready', flush=True)\nuntil = time.time() + 60\n"
        + "while time.time() < until and not os.path.exists('enough'): steps(1); time.sleep(0.01)\n"
    )
    with subprocess.Popen(
        [sys.executable, "train.py"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(3)  # until the first steps are on the disk
        process.send_signal(signal.SIGUSR1)
        until = time.monotonic() + 60
        while not (tmp_path / "dnndoctor-report.html").exists() and time.monotonic() < until:
            time.sleep(0.1)
        (tmp_path / "enough").touch()
        _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert "report of the run until now" in said
    assert "</html>" in (tmp_path / "dnndoctor-report.html").read_text()


def test_a_process_that_is_ended_leaves_its_black_box(tmp_path: Path) -> None:
    done = ran(tmp_path, program() + "steps(50); os.kill(os.getpid(), 15); time.sleep(60)")
    assert done.returncode == -signal.SIGTERM
    [box] = (tmp_path / ".dnndoctor").glob("*.box")
    from dnndoctor.recorder import black_box

    loaded = black_box.load(box)
    assert (loaded.reason, loaded.step, loaded.exact) == ("SIGTERM", 50, False)


def test_an_unknown_rule_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="stop_on: no rule is meant by"):
        dnndoctor.watch(path=tmp_path / "x.dnnrec", stop_on="NMU101")
