"""Known findings pass, new ones do not, mended ones leave the file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dnndoctor.baseline import applied, written
from dnndoctor.reports.words import headline
from dnndoctor.rule import State
from dnndoctor.workspace import BadInput
from tests.diagnoses import found, ran

SOURCE = "import torch\n\nmodel = torch.nn.Linear(4, 1)\noptimizer = torch.optim.SGD(model.parameters(), lr=0.5)\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text(SOURCE)
    return tmp_path / "known.json"


def rows(file: Path) -> list[str]:
    return [each["rule"] for each in json.loads(file.read_text())["findings"]]


def test_what_is_known_passes(file: Path) -> None:
    sick = ran(found("LRN101", line=4), found("INI102", line=3))
    made, said = written(sick, file, file.parent)
    assert made.findings == ()
    assert said == f"{file}: known from now on: 2 findings"
    again, said_again = applied(sick, file, file.parent)
    assert again.findings == ()
    assert len(again.known) == 2
    assert said_again is None
    assert rows(file) == ["INI102", "LRN101"]
    assert {each.state for each in again.results if each.rule.code != "ACT101"} == {State.NOT_APPLICABLE}
    assert f"known and left out: 2 findings of {file}" in again.run.notes
    assert headline(again).startswith("No new faults found, 2 known")


def test_moved_lines_and_other_figures_are_the_same_finding(file: Path) -> None:
    written(ran(found("LRN101", line=4, value=0.5)), file, file.parent)
    (file.parent / "train.py").write_text("# a remark\n\n" + SOURCE.replace("0.5", "0.4"))
    made, _ = applied(ran(found("LRN101", line=6, value=0.4)), file, file.parent)
    assert made.findings == ()


def test_what_is_new_stands(file: Path) -> None:
    written(ran(found("LRN101", line=4)), file, file.parent)
    made, _ = applied(ran(found("LRN101", line=4), found("LRN101", line=3), found("ACT101")), file, file.parent)
    assert sorted(each.rule for each in made.findings) == ["ACT101", "LRN101"]
    assert [each.location.line for each in made.findings if each.rule == "LRN101" and each.location] == [3]


def test_a_second_one_of_the_same_kind_is_new(file: Path) -> None:
    written(ran(found("ACT101", line=3)), file, file.parent)
    made, _ = applied(ran(*[found("ACT101", line=3, value=each) for each in (1.0, 2.0)]), file, file.parent)
    assert len(made.findings) == 1


def test_what_is_mended_leaves_the_file(file: Path) -> None:
    written(ran(found("LRN101", line=4), found("INI102", line=3)), file, file.parent)
    made, said = applied(ran(found("INI102", line=3)), file, file.parent)
    assert made.findings == ()
    assert said == f"{file}: mended and no longer known: LRN101 train.py"
    assert rows(file) == ["INI102"]


def test_what_could_not_be_judged_is_not_called_mended(file: Path) -> None:
    written(ran(found("LRN101", line=4)), file, file.parent)
    before = file.read_bytes()
    assert applied(ran(unjudged=("LRN101",)), file, file.parent)[1] is None
    assert file.read_bytes() == before


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"fingerprints": "dnndoctor/v1", "findings": [1]}', "\0"])
def test_a_file_that_is_none_is_one_line(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(BadInput, match="is no baseline of dnndoctor"):
        applied(ran(), file, file.parent)
    file.write_text('{"fingerprints": "dnndoctor/v9", "findings": []}')
    with pytest.raises(BadInput, match="another version"):
        applied(ran(), file, file.parent)
