"""What every rule keeps to."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dnndoctor.registry import load_rules, practices

if TYPE_CHECKING:
    from dnndoctor.rule import Rule

HOUSE = Path(__file__).parents[2]
SECTIONS = ["What it measures", "Why it matters", "How to fix it", "When to ignore it", "References"]
RULES = list(load_rules().values())

each_rule = pytest.mark.parametrize("one", RULES, ids=[one.code for one in RULES])


def sections(doc: str) -> dict[str, str]:
    """The page's headings (lines that are not indented, after the first) with the text under each."""
    parts = re.split(r"^(\S.*)$", doc.partition("\n")[2], flags=re.MULTILINE)
    return dict(zip((head.strip() for head in parts[1::2]), (text.strip() for text in parts[2::2]), strict=True))


def test_rules_were_found() -> None:
    assert len(RULES) >= 25


@each_rule
def test_code_and_practice(one: Rule) -> None:
    assert re.fullmatch(r"[A-Z]{3}\d{3}", one.code)
    assert one.practice in practices()


@each_rule
def test_a_rule_lives_in_the_file_of_its_name_in_the_folder_of_its_practice(one: Rule) -> None:
    path = Path(inspect.getfile(one.check))
    assert (path.parent.name, path.stem) == (one.practice.replace("-", "_"), one.check.__name__)


@each_rule
def test_the_page_has_every_section_in_order_and_none_is_empty(one: Rule) -> None:
    found = sections(one.doc)
    assert list(found) == SECTIONS
    assert all(found.values())


@each_rule
def test_the_title_is_one_short_sentence(one: Rule) -> None:
    assert len(one.title) <= 100
    assert one.title.endswith(".")


@each_rule
def test_every_threshold_is_explained_with_its_default(one: Rule) -> None:
    for name, default in one.thresholds.items():
        line = re.search(rf"^\s*{name}: ([^,]+), \S", one.doc, flags=re.MULTILINE)
        assert line, f"{name} has no line 'name: default, origin'"
        assert line[1] == str(default) or float(line[1].rstrip("%")) == pytest.approx(float(default)), name


@each_rule
def test_a_rule_has_a_test_file(one: Rule) -> None:
    folder = HOUSE / "tests" / "rules" / one.practice.replace("-", "_")
    assert (folder / f"test_{one.check.__name__}.py").is_file()


def test_one_practice_has_one_prefix_of_codes() -> None:
    prefixes: dict[str, set[str]] = {}
    for one in RULES:
        prefixes.setdefault(one.practice, set()).add(one.code[:3])
    assert {practice: found for practice, found in prefixes.items() if len(found) > 1} == {}


def test_rules_import_no_torch() -> None:
    code = "import sys; from dnndoctor.registry import load_rules; load_rules(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=HOUSE, check=False).returncode == 0


@pytest.mark.parametrize("part", ["rules", "reports"])
def test_every_package_is_listed_for_the_wheel(part: str) -> None:
    listed = tomllib.loads((HOUSE / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    there = {
        ".".join(("dnndoctor", *folder.relative_to(HOUSE).parts))
        for folder in (HOUSE / part, *(HOUSE / part).rglob("*/"))
        if folder.name != "__pycache__" and any(folder.glob("*.py"))
    }
    assert there == {each for each in listed if each.startswith(f"dnndoctor.{part}")}
