"""Ignores by file and by module, and severities, from the settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dnndoctor.config import ConfigError, Settings, load
from dnndoctor.findings import Severity
from dnndoctor.policy import under_policy
from dnndoctor.rule import Result, State
from tests.diagnoses import found, ran


def judged(*findings: Any, **settings: Any) -> tuple[dict[str, Result], int]:
    results, left_out = under_policy(ran(*findings).results, Settings(**settings))
    return {each.rule.code: each for each in results}, left_out


@pytest.mark.parametrize("pattern", ["train.py", "*.py", "tr*"])
def test_rules_are_ignored_in_files(pattern: str) -> None:
    results, left_out = judged(found("INI102"), found("LRN101"), per_file_ignores={pattern: ("INI",)})
    assert left_out == 1
    assert (results["INI102"].state, results["INI102"].reason) == (
        State.NOT_APPLICABLE,
        "ignored there by the settings",
    )
    assert results["LRN101"].state is State.FINDING


@pytest.mark.parametrize(("pattern", "left_out"), [("backbone", 2), ("backbone.layers.0", 1), ("back", 0), ("*.0", 1)])
def test_rules_are_ignored_in_modules(pattern: str, left_out: int) -> None:
    faults = [found("INI102", subject=each) for each in ("backbone.layers.0", "backbone.layers.1", "head")]
    results, count = judged(*faults, per_module_ignores={pattern: ("ALL",)})
    assert count == left_out
    assert len(results["INI102"].findings) == 3 - left_out


def test_the_most_exact_severity_holds() -> None:
    grades = {"ALL": Severity.INFO, "LRN101": Severity.ERROR, "INI": Severity.WARNING}
    results, _ = judged(found("INI102"), found("LRN101"), found("ACT101"), severities=grades)
    assert {code: str(each.findings[0].severity) for code, each in results.items()} == {
        "INI102": "warning",
        "LRN101": "error",
        "ACT101": "info",
    }


def test_they_are_read_from_the_settings(tmp_path: Path) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text(
        '[tool.dnndoctor.per-file-ignores]\n"old/*" = ["INI"]\n[tool.dnndoctor.severities]\nLRN101 = "error"\n'
        '[tool.dnndoctor.per-module-ignores]\nbackbone = ["ALL"]\n'
    )
    settings = load(tmp_path)
    assert settings.per_file_ignores == {"old/*": ("INI",)}
    assert settings.severities == {"LRN101": Severity.ERROR}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '[tool.dnndoctor.per-file-ignores]\n"a.py" = ["LRN1O1"]\n',
            r'per-file-ignores\."a\.py": no rule is meant by "LRN1O1"',
        ),
        ('[tool.dnndoctor.severities]\nLRN = "grave"\n', "one of error, warning, info"),
        ('[tool.dnndoctor.severities]\nLRX = "error"\n', 'severities: no rule is meant by "LRX"'),
    ],
)
def test_a_mistake_names_its_key(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(ConfigError, match=said):
        load(tmp_path)
