"""SARIF, JUnit, GitHub, GitLab: valid by their own definitions, whatever the names are."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from dnndoctor.config import FailOn
from dnndoctor.diagnosis import Diagnosis
from dnndoctor.findings import Location
from dnndoctor.reports import github, gitlab, junit, sarif

jsonschema: Any = pytest.importorskip("jsonschema")
SCHEMA = json.loads((Path(__file__).parent / "schemas" / "sarif-schema-2.1.0.json").read_text())
EVERY = ["sick", "sound", "unseen", "hostile", "remarked"]


@pytest.fixture(params=EVERY)
def any_of(request: pytest.FixtureRequest) -> Diagnosis:
    found: Diagnosis = request.getfixturevalue(request.param)
    return found


def run_of(diagnosis: Diagnosis, folder: Path) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(sarif.render(diagnosis, folder))
    [run] = made["runs"]
    return dict(run)


def test_sarif_satisfies_the_official_schema(any_of: Diagnosis, folder: Path) -> None:
    text = sarif.render(any_of, folder)
    assert text == sarif.render(any_of, folder)
    text.encode()
    made = json.loads(text)
    jsonschema.Draft4Validator(SCHEMA).validate(made)
    [run] = made["runs"]
    assert len(run["results"]) == len(any_of.findings)
    marks = [next(iter(each["partialFingerprints"].values())) for each in run["results"]]
    assert len(marks) == len(set(marks))
    for each in run["results"]:
        region = each["locations"][0]["physicalLocation"]["region"]
        assert region["startLine"] >= 1
        assert run["tool"]["driver"]["rules"][each["ruleIndex"]]["id"] == each["ruleId"]


def test_sarif_holds_the_edit(sick: Diagnosis, folder: Path) -> None:
    [result] = [each for each in run_of(sick, folder)["results"] if each["ruleId"] == "INI102"]
    assert result["level"] == "warning"
    assert result["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "train.py", "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": 11, "startColumn": 13},
    }


def test_sarif_replaces_the_lines_of_the_patch(sick: Diagnosis, folder: Path) -> None:
    diff = (
        "--- a/train.py\n+++ b/train.py\n@@ -10,3 +10,3 @@\n"
        "         for layer in self.layers:\n-            nn.init.normal_(layer.weight)\n"
        "+            nn.init.xavier_normal_(layer.weight)\n \n"
    )
    assert sick.findings[0].fix is not None
    found = replace(sick.findings[0], fix=replace(sick.findings[0].fix, diff=diff))
    [result] = run_of(replace(sick, findings=(found,)), folder)["results"]
    [change] = result["fixes"][0]["artifactChanges"]
    [edit] = change["replacements"]
    assert edit["deletedRegion"] == {"startLine": 10, "startColumn": 1, "endLine": 13, "endColumn": 1}
    lines = (folder / "train.py").read_text().splitlines(keepends=True)
    patched = "".join([*lines[:9], edit["insertedContent"]["text"], *lines[12:]])
    assert patched == (folder / "train.py").read_text().replace("init.normal_", "init.xavier_normal_")


def test_a_finding_without_a_place_lies_at_the_training(sick: Diagnosis, folder: Path) -> None:
    [result] = [each for each in run_of(sick, folder)["results"] if each["ruleId"] == "BAT102"]
    assert result["locations"][0]["physicalLocation"]["region"]["startLine"] == 20


def test_what_was_not_examined_is_no_success(
    unseen: Diagnosis, sick: Diagnosis, sound: Diagnosis, folder: Path
) -> None:
    assert run_of(sound, folder)["invocations"][0]["executionSuccessful"]
    assert not run_of(unseen, folder)["invocations"][0]["executionSuccessful"]
    assert not run_of(sick, folder)["invocations"][0]["executionSuccessful"], "a rule crashed"
    assert github.render(unseen, folder).startswith("::error file=train.py,line=1,col=1,title=dnndoctor::Not examined")
    assert [each["severity"] for each in json.loads(gitlab.render(unseen, folder))] == ["blocker"]
    suite = ElementTree.fromstring(junit.render(unseen, FailOn.ERROR.reached))
    assert suite.get("errors") == "1"
    assert github.render(sound, folder) == ""
    assert json.loads(gitlab.render(sound, folder)) == []


def test_files_are_named_from_the_repository(sick: Diagnosis, tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "jobs").mkdir()
    root = tmp_path / "jobs"
    assert "::warning file=jobs/train.py,line=20,col=52,title=LRN101 rate-too-high::" in github.render(sick, root)
    assert {each["location"]["path"] for each in json.loads(gitlab.render(sick, root))} == {"jobs/train.py"}
    results = run_of(sick, root)["results"]
    assert {each["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for each in results} == {
        "jobs/train.py"
    }


def test_annotations_escape_what_would_end_them(sick: Diagnosis, hostile: Diagnosis, folder: Path) -> None:
    odd = replace(sick.findings[0], message="50% of a,b:\nc", location=Location("a,b:c%.py", 3, 2))
    [line] = github.render(replace(sick, findings=(odd,)), folder).splitlines()
    assert line.startswith("::")
    assert "file=a%2Cb%3Ac%25.py,line=3,col=2," in line
    assert "50%25 of a,b:" in line
    said = github.render(hostile, folder)
    said.encode()
    assert all(re.match(r"::(error|warning|notice) file=", each) for each in said.splitlines())


def test_gitlab_has_what_it_reads(any_of: Diagnosis, folder: Path) -> None:
    made = json.loads(gitlab.render(any_of, folder))
    for each in made:
        assert {"description", "check_name", "fingerprint", "severity", "location"} <= set(each)
        assert each["severity"] in ("info", "minor", "major", "critical", "blocker")
        assert each["location"]["lines"]["begin"] >= 1
    assert len({each["fingerprint"] for each in made}) == len(made)


def test_junit_fails_what_the_exit_code_fails(sick: Diagnosis) -> None:
    whole = ElementTree.fromstring(junit.render(sick, FailOn.ERROR.reached))
    assert (whole.get("failures"), whole.get("errors")) == ("1", "1")
    strict = ElementTree.fromstring(junit.render(sick, FailOn.WARNING.reached))
    assert strict.get("failures") == "4"
    cases = {str(each.get("name")): each for each in strict.iter("testcase")}
    failure = cases["LRN101 rate-too-high"].find("failure")
    assert failure is not None
    assert str(failure.get("message")).startswith("train.py:20:52: learning rate 0.5")
    skipped = cases["HWR101 accelerator-idle"].find("skipped")
    assert skipped is not None
    assert skipped.get("message") == "no accelerator on this machine"


def test_junit_is_well_formed_whatever_the_names_are(any_of: Diagnosis) -> None:
    whole = ElementTree.fromstring(junit.render(any_of, FailOn.INFO.reached))
    counted = sum(1 for _ in whole.iter("testcase"))
    assert int(str(whole.get("tests"))) == counted
