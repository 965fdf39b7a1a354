from dataclasses import replace
from pathlib import Path

import pytest

from dnndoctor.diagnosis import Diagnosis
from dnndoctor.findings import Finding, Severity
from dnndoctor.reports.excerpt import excerpt
from dnndoctor.reports.manual import sections
from dnndoctor.reports.words import figure, headline, printable, tree, width


def finding(code: str, cause: str | None = None, grade: Severity = Severity.WARNING) -> Finding:
    return Finding(code, rule=code, caused_by=cause, severity=grade)


def codes(diagnosis: Diagnosis, *found: Finding) -> list[list[str]]:
    return [[each.rule for each in node.walk()] for node in tree(replace(diagnosis, findings=found))]


def test_each_finding_stands_exactly_once(sound: Diagnosis) -> None:
    twice = (finding("A"), finding("A"), finding("B", "A"))
    assert codes(sound, *twice) == [["A", "B"], ["A"]]


def test_a_consequence_without_its_cause_stands_alone(sound: Diagnosis) -> None:
    assert codes(sound, finding("B", "A")) == [["B"]]


def test_findings_in_a_circle_are_not_lost(sound: Diagnosis) -> None:
    assert codes(sound, finding("A", "B"), finding("B", "A"), finding("C", "C")) == [["C"], ["A", "B"]]


def test_the_group_with_the_gravest_consequence_comes_first(sound: Diagnosis) -> None:
    found = (finding("A"), finding("B"), finding("C", "B", Severity.ERROR))
    assert codes(sound, *found) == [["B", "C"], ["A"]]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.1, "0.1"), (1e-5, "1e-5"), (33000.4, "33,000"), (2.0, "2"), (1e20, "1e20"), (float("-inf"), "-inf")],
)
def test_numbers_read_as_people_write_them(value: float, shown: str) -> None:
    assert figure(value) == shown


def test_headlines(sick: Diagnosis, sound: Diagnosis, unseen: Diagnosis) -> None:
    assert headline(sick) == "1 error, 3 warnings, 1 note."
    assert headline(sound) == "No faults found."
    assert headline(unseen) == "Not examined: the script made no optimizer step."


def test_text_is_made_harmless_but_stays_legible() -> None:
    assert printable("größe 层 \x1b[2J \u202e \udc80") == "größe 层 \\x1b[2J \\u202e \\udc80"
    assert width("层a") == 3


def test_an_excerpt_has_its_context_and_the_caret_after_tabs(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("one\n\ttwo\nthree\n")
    shown = excerpt("a.py", 2, 1, column=2, root=tmp_path)
    assert [(each.number, each.text, each.marked) for each in shown.lines] == [
        (1, "one", False),
        (2, "    two", True),
        (3, "three", False),
    ]
    assert shown.caret == 5


@pytest.mark.parametrize(("file", "line"), [("gone.py", 1), (".", 1), ("a.py", 99), ("a.py", 0), ("a\0b", 1)])
def test_source_that_cannot_be_read_gives_no_excerpt(file: str, line: int, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("one\n")
    assert excerpt(file, line, root=tmp_path).lines == ()


def test_a_manual_page_is_taken_apart_at_its_headings() -> None:
    page = "A fault.\n\nWhy it matters\n    It harms\n    a lot.\n\n    Always.\n\nReferences\n    A book."
    assert sections(page) == {"": "A fault.", "Why it matters": "It harms a lot.\n\nAlways.", "References": "A book."}
