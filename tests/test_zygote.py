"""What the zygote gives is what the command line gives."""

from __future__ import annotations

from pathlib import Path

from dnndoctor.recording.reader import read
from tests.conftest import Check
from tests.fixture_scripts import FIXTURES
from tests.zygote import Zygote

ABOUT_ITSELF = """
import os, sys, threading
lines = [os.getcwd(), sys.argv, __file__, __name__, sys.flags.safe_path, threading.active_count(), os.umask(0o22),
         os.getsid(0) == os.getpid(), os.readlink("/proc/self/fd/0"), os.environ.get("WANDB_MODE"),
         sorted(os.listdir("/proc/self/fd"))[:3], sys.stdout.encoding, sys.stdout.line_buffering]
sys.exit(repr(lines))
"""


def test_the_zygote_is_pristine(zygote: Zygote) -> None:
    facts = zygote.facts()
    assert facts["threads"] == 1
    assert facts["torch threads"] == 1
    assert facts["first random number"]
    assert facts["module hooks"] == 0
    assert facts["backward"] == "torch._tensor"


def test_an_examination_is_that_of_the_command_line(check: Check, quick_check: Check, tmp_path: Path) -> None:
    source = (FIXTURES / "sick" / "iris_softmax_before_loss.py").read_text()
    real, quick = check(source), quick_check(source)
    assert [f["location"] for f in quick["findings"]] == [f["location"] for f in real["findings"]]
    assert quick["rules"] == real["rules"]
    rows = [read(tmp_path / each["run"]["recording"])["step"] for each in (real, quick)]
    assert [row["loss"] for row in rows[0]] == [row["loss"] for row in rows[1]]


def test_a_script_finds_the_same_surroundings(check: Check, quick_check: Check) -> None:
    reports = [each(ABOUT_ITSELF, args=("--x",)) for each in (check, quick_check)]
    assert "--x" in reports[0]["target"]["reason"]
    assert reports[0]["target"]["reason"] == reports[1]["target"]["reason"]


def test_a_script_that_dies_is_told_as_such(quick_check: Check) -> None:
    report = quick_check("import torch, os, signal\nos.kill(os.getpid(), signal.SIGSEGV)")
    assert "segmentation fault" in report["target"]["reason"]
