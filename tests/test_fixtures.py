"""Every fixture is examined for real: the sick give what their comments expect, the healthy give nothing."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FIXTURES = Path(__file__).parent.parent / "fixtures"
EXPECT = re.compile(r"#\s*expect:\s*([A-Z]{3}\d{3}(?:\s*,\s*[A-Z]{3}\d{3})*)")
TIMEOUT = 300.0


def expected(script: Path) -> set[tuple[str, int]]:
    """The codes and lines that the comments of a script name."""
    pairs = set()
    for number, line in enumerate(script.read_text(encoding="utf-8").splitlines(), start=1):
        match = EXPECT.search(line)
        if match:
            pairs |= {(code.strip(), number) for code in match.group(1).split(",")}
    return pairs


def examine(script: Path, folder: Path) -> dict[str, Any]:
    shutil.copy(script, folder / script.name)
    command = [sys.executable, "-m", "dnndoctor", "check", script.name, "--output-format", "json", "--html", "none"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=TIMEOUT)
    assert done.returncode in (0, 1), f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["target"]["outcome"] == "examined", report["target"]["reason"]
    return report


def place(finding: dict[str, Any]) -> tuple[str, int | None]:
    location = finding["location"]
    return finding["rule"], location["line"] if location else None


def told(findings: list[dict[str, Any]]) -> str:
    rows = [f"{f['severity']:8}{place(f)} {f['subject']}: {f['message']} (by {f['caused_by']})" for f in findings]
    return "\n".join(["findings:", *rows])


def assert_no_trace(script: Path, folder: Path) -> None:
    left = {path.name for path in folder.iterdir()} - {script.name}
    assert left <= {".dnndoctor"}, f"left behind: {sorted(left)}"
    assert (folder / script.name).read_bytes() == script.read_bytes()


def scripts(kind: str) -> list[Any]:
    return [pytest.param(path, id=path.stem) for path in sorted((FIXTURES / kind).glob("*.py"))]


@pytest.mark.parametrize("script", scripts("sick"))
def test_sick(script: Path, tmp_path: Path) -> None:
    wanted = expected(script)
    assert wanted, "a sick fixture names the findings that it expects"
    findings = examine(script, tmp_path)["findings"]
    found = {place(f) for f in findings if f["severity"] != "info" or place(f) in wanted}
    missing, extra = wanted - found, found - wanted
    assert found == wanted, f"missing {sorted(missing)}, extra {sorted(extra, key=str)}\n{told(findings)}"
    assert_no_trace(script, tmp_path)


@pytest.mark.parametrize("script", scripts("healthy"))
def test_healthy(script: Path, tmp_path: Path) -> None:
    assert not expected(script), "a healthy fixture expects nothing"
    findings = examine(script, tmp_path)["findings"]
    assert not [f for f in findings if f["severity"] != "info"], told(findings)
    assert_no_trace(script, tmp_path)


def test_there_are_fixtures_of_both_kinds() -> None:
    assert len(scripts("sick")) >= 14
    assert len(scripts("healthy")) >= 12
