"""The composite action, the pre-commit hook and README's jobs: what they run is what the command line takes."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dnndoctor.cli import app

yaml: Any = pytest.importorskip("yaml")
ROOT = Path(__file__).parents[1]
ACTION = ROOT / ".github" / "actions" / "check"
FAKE = """#!{python}
import json, os, sys
words = sys.argv[1:]
json.dump(words, open("asked.json", "w"))
for each in words:
    if each.startswith(("sarif=", "concise=")):
        open(each.partition("=")[2], "w").write("train.py:3:1: LRN101 [error] `too` high\\n")
open(words[words.index("--html") + 1], "w").write("<p>")
sys.exit({code})
"""


def options_of(command: str) -> set[str]:
    import typer

    made: Any = typer.main.get_command(app)
    return {
        each for parameter in made.commands[command].params for each in (*parameter.opts, *parameter.secondary_opts)
    }


def started(folder: Path, code: int = 0, **inputs: str) -> subprocess.CompletedProcess[str]:
    fake = folder / "bin" / "dnndoctor"
    fake.parent.mkdir()
    fake.write_text(FAKE.format(python=sys.executable, code=code))
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    action = yaml.safe_load((ACTION / "action.yml").read_text())
    [step] = [each for each in action["runs"]["steps"] if each.get("id") == "check"]
    values = {name: each.get("default", "") for name, each in action["inputs"].items()} | inputs
    given = {name: values[re.fullmatch(r"\$\{\{ inputs\.([\w-]+) \}\}", text)[1]] for name, text in step["env"].items()}  # type: ignore[index]
    environment = {
        **os.environ,
        **given,
        "PATH": f"{fake.parent}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "RUNNER_TEMP": str(folder),
        "GITHUB_ACTION_PATH": str(ACTION),
        "GITHUB_OUTPUT": str(folder / "output"),
        "GITHUB_STEP_SUMMARY": str(folder / "summary"),
    }
    return subprocess.run(
        ["bash", "-e", "-c", step["run"]], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_inputs_reach_the_command_line_as_they_are(tmp_path: Path) -> None:
    hostile = "a b;touch owned $(touch owned).py"
    done = started(tmp_path, code=1, target=hostile, args="--name 'x y'", options="--select INI,LRN", repeat="3")
    assert done.returncode == 1, done.stderr
    asked = json.loads((tmp_path / "asked.json").read_text())
    assert asked[:2] == ["check", hostile]
    assert asked[-7:] == ["--repeat", "3", "--select", "INI,LRN", "--", "--name", "x y"]
    assert not (tmp_path / "owned").exists()
    assert (tmp_path / "output").read_text().splitlines() == [
        f"report={tmp_path / 'dnndoctor.html'}",
        f"sarif={tmp_path / 'dnndoctor.sarif'}",
        "exit-code=1",
    ]
    assert "    train.py:3:1: LRN101 [error] `too` high\n" in (tmp_path / "summary").read_text()


def test_nothing_is_asked_for_that_no_input_says(tmp_path: Path) -> None:
    assert started(tmp_path, target="train.py").returncode == 0
    asked = json.loads((tmp_path / "asked.json").read_text())
    options = [each for each in asked if each.startswith("--")]
    assert options == ["--html", "--output-format", "--output-format", "--output-format"]
    assert set(options) <= options_of("check")


def test_an_open_quote_is_one_line(tmp_path: Path) -> None:
    done = started(tmp_path, target="train.py", args="--name 'x")
    assert (done.returncode, done.stdout) == (
        2,
        "::error::dnndoctor: the inputs cannot be read: No closing quotation\n",
    )
    assert not (tmp_path / "asked.json").exists()


def test_the_action_uses_its_inputs_and_no_others() -> None:
    text = (ACTION / "action.yml").read_text()
    used = set(re.findall(r"inputs\.([\w-]+)", text))
    assert used == set(yaml.safe_load(text)["inputs"])
    spec = importlib.util.spec_from_file_location("check", ACTION / "check.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    named = {f"--{each.lower().replace('_', '-')}" for each in module.OPTIONS}
    assert named <= options_of("check")


def test_the_hook_runs_a_command_that_there_is() -> None:
    [hook] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    program, command = hook["entry"].split()
    assert program == "dnndoctor"
    assert options_of(command)


def blocks() -> list[Any]:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    return [yaml.safe_load(each) for each in re.findall(r"^```yaml\n(.*?)^```", readme, re.DOTALL | re.MULTILINE)]


def strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [each for one in inner for each in strings(one)]


def test_jobs_of_the_readme_name_options_that_there_are() -> None:
    lines = [line for block in blocks() for text in strings(block) for line in text.splitlines()]
    commands = [re.search(r"\bdnndoctor (check|compare|report)\b(.*?)( -- |$)", line) for line in lines]
    found = [(each[1], option) for each in commands if each for option in re.findall(r"--[\w-]+", each[2])]
    assert len(found) >= 3
    assert not [(command, each) for command, each in found if each not in options_of(command)]


def test_the_workflow_of_the_readme_gives_the_action_inputs_that_it_has() -> None:
    steps = [step for block in blocks() if "jobs" in block for job in block["jobs"].values() for step in job["steps"]]
    used = [step for step in steps if ".github/actions/check" in step.get("uses", "")]
    assert used
    inputs = yaml.safe_load((ACTION / "action.yml").read_text())["inputs"]
    for step in used:
        assert set(step["with"]) <= set(inputs)
        assert {name for name, each in inputs.items() if each.get("required")} <= set(step["with"])
