"""Patches and files: what is made together, and what never is."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from dnndoctor.changes import RemoveArgument, Safety, SetArgument
from dnndoctor.fixes.files import Files, digest, replace_content
from dnndoctor.fixes.plan import plan
from dnndoctor.fixes.source import Refused
from tests.fixes.mended import FILE, at, finding

SOURCE = "o = SGD(p, lr=0.5)\nd = DataLoader(t, batch_size=1)\n"
RATE = SetArgument("lr", "0.05", position=1)
SHUFFLE = SetArgument("shuffle", "True", position=2, safety=Safety.SAFE)


def files(text: str = SOURCE, examined: str | None = None) -> Files:
    return Files(lambda _: text.encode(), {} if examined is None else {FILE: examined})


def test_findings_are_mended_together() -> None:
    both = [finding([RATE], at(SOURCE, "SGD")), finding([SHUFFLE], at(SOURCE, "Data"), "SHU101")]
    offered = plan(both, files())
    assert offered.new[FILE] == "o = SGD(p, lr=0.05)\nd = DataLoader(t, batch_size=1, shuffle=True)\n"
    assert offered.text.startswith(f"--- a/{FILE}\n+++ b/{FILE}\n@@")


def test_only_the_safe_ones_unless_asked_for() -> None:
    both = [finding([RATE], at(SOURCE, "SGD")), finding([SHUFFLE], at(SOURCE, "Data"), "SHU101")]
    offered = plan(both, files(), (Safety.SAFE,))
    assert [each.finding.rule for each in offered.made] == ["SHU101"]
    assert [each.refused for each in offered.left] == ["it changes results"]


def test_what_lies_over_a_graver_change_waits() -> None:
    one = finding([RATE], at(SOURCE, "SGD"))
    other = finding([RemoveArgument("lr")], at(SOURCE, "SGD"), "OPT105")
    offered = plan([one, other], files())
    assert [each.finding.rule for each in offered.made] == ["LRN101"]
    assert "first" in (offered.left[0].refused or "")


def test_a_consequence_waits_for_its_cause() -> None:
    cause = finding([RATE], at(SOURCE, "SGD"))
    consequence = finding([SHUFFLE], at(SOURCE, "Data"), "SHU101", cause="LRN101")
    assert [each.finding.rule for each in plan([cause, consequence], files()).made] == ["LRN101"]


def test_a_file_that_changed_since_is_left_alone() -> None:
    offered = plan([finding([RATE], at(SOURCE, "SGD"))], files(examined=digest(b"another one")))
    assert not offered.new
    assert "has changed since it was examined" in (offered.left[0].refused or "")


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_line_ends_encoding_and_mode_are_kept(tmp_path: Path, ends: str) -> None:
    path = tmp_path / FILE
    text = f"# -*- coding: latin-1 -*-{ends}n = 'ü'{ends}o = SGD(p, lr=0.5){ends}"
    path.write_bytes(text.encode("latin-1"))
    path.chmod(0o755)
    read = Files(lambda name: (tmp_path / name).read_bytes())
    offered = plan([finding([RATE], at(text, "SGD"))], read)
    replace_content(path, read.file(FILE), offered.new[FILE])
    assert path.read_bytes() == text.replace("0.5", "0.05").encode("latin-1")
    assert stat.S_IMODE(path.stat().st_mode) == 0o755
    assert os.listdir(tmp_path) == [FILE]


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "real.py").write_text(SOURCE, encoding="utf-8")
    (tmp_path / FILE).symlink_to("real.py")
    read = Files(lambda name: (tmp_path / name).read_bytes())
    replace_content(tmp_path / FILE, read.file(FILE), "pass\n")
    assert (tmp_path / FILE).is_symlink()
    assert (tmp_path / "real.py").read_text(encoding="utf-8") == "pass\n"


def test_a_file_that_changes_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(SOURCE, encoding="utf-8")
    read = Files(lambda name: (tmp_path / name).read_bytes())
    read.file(FILE)
    (tmp_path / FILE).write_text("mine\n", encoding="utf-8")
    with pytest.raises(Refused, match="has changed"):
        replace_content(tmp_path / FILE, read.file(FILE), "pass\n")
    assert (tmp_path / FILE).read_text(encoding="utf-8") == "mine\n"
