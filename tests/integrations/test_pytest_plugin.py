"""The plugin as pytest loads it, in a pytest of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

from dnndoctor.integrations import pytest_plugin

ROOT = Path(__file__).parents[2]
# "no:dnndoctor" keeps an installed entry point away, which would register the same module a second time.
PLUGIN = ("-p", "no:dnndoctor", "-p", pytest_plugin.__name__, "-p", "no:cacheprovider", "-p", "no:randomly")
TESTS = """
import sys
import pytest

def test_without_it():
    assert "torch" not in sys.modules

@pytest.fixture
def batches():
    import torch
    rows = torch.randn(96, 6, generator=torch.Generator().manual_seed(0))
    return [(each, (each.sum(1) > 0).long()) for each in rows.split(16)]

@pytest.mark.parametrize("std", [0.2, 20.0])
def test_training(dnndoctor, batches, std):
    from torch import nn
    model = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 2))
    for each in model.parameters():
        nn.init.normal_(each, std=std)
    dnndoctor.assert_healthy(model, batches, loss_fn=nn.CrossEntropyLoss(), probes=False, steps=12, select="INI102")
"""


def run_pytest(folder: Path, *options: str) -> str:
    (folder / "test_training.py").write_text(TESTS)
    command = [
        sys.executable,
        "-m",
        "pytest",
        *PLUGIN,
        "-v",
        "--strict-markers",
        "--basetemp",
        str(folder / "t"),
        *options,
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTEST_ADDOPTS": ""}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, check=False)
    assert not done.stderr, done.stderr
    return done.stdout


def test_a_failing_model_fails_its_test_and_leaves_its_report(tmp_path: Path) -> None:
    said = run_pytest(tmp_path)
    assert "1 failed, 2 passed" in said
    assert "test_training[20.0] FAILED" in said
    assert "INI102 [error] mis-scaled-weights" in said
    assert "assertions.py" not in said, "the traceback ends at the test's own line"
    [report] = [each for each in tmp_path.glob("t/*/dnndoctor-report.html") if not each.parent.is_symlink()]
    assert f"report: {report}" in said


def test_tests_that_examine_can_be_left_out(tmp_path: Path) -> None:
    assert "1 passed, 2 deselected" in run_pytest(tmp_path, "-m", "not dnndoctor")


def test_importing_it_costs_no_torch() -> None:
    code = f"import sys, {pytest_plugin.__name__}; print({{'torch', 'numpy', 'msgspec'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "set()"


def test_pytest_is_told_of_it() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert settings["project"]["entry-points"]["pytest11"] == {"dnndoctor": pytest_plugin.__name__}
