"""Training scripts of the frameworks that hold the loop themselves, examined for real as their users write them.

Each script is run once by itself, too: its losses are those that the examination recorded, bit for bit.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from dnndoctor.recording.reader import Rows, read
from tests.fixture_scripts import FIXTURES, expected
from tests.test_fixtures import assert_no_trace, examine, explained, place, told
from tests.zygote import Zygote

PACKAGES = {
    "accelerate": ["accelerate"],
    "ignite": ["ignite"],
    "lightning": ["lightning", "pytorch_lightning"],
    "skorch": ["skorch"],
    "transformers": ["transformers", "accelerate"],
}
STEPS = 50
# Prints the sum of what ``backward`` was called on before each step of the first optimizer, and leaves after STEPS.
BARE = f"""
import functools, json, os, runpy, sys
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook
losses, now, lead, inside = [], [], [], []

def noting(original):
    @functools.wraps(original)
    def backward(tensors, *args, **kwargs):
        if not inside:
            now.append(float(tensors.detach()))
        inside.append(1)
        try:
            return original(tensors, *args, **kwargs)
        finally:
            inside.pop()
    return backward

def end():
    sys.__stdout__.write("\\nLOSSES " + json.dumps([each.hex() for each in losses]) + "\\n")
    sys.__stdout__.flush()
    os._exit(0)

def after(optimizer, args, kwargs):
    lead or lead.append(optimizer)
    if optimizer is lead[0]:
        losses.append(sum(now))
        now.clear()
        if len(losses) == {STEPS}:
            end()

torch.Tensor.backward = noting(torch.Tensor.backward)
torch.autograd.backward = noting(torch.autograd.backward)
register_optimizer_step_post_hook(after)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
end()
"""


def scripts() -> list[Any]:
    return [pytest.param(path, id=path.stem) for path in sorted((FIXTURES / "frameworks").glob("*.py"))]


def require(script: Path) -> None:
    """A developer may lack the frameworks; where everything is tested they have to be there."""
    missing = [each for each in PACKAGES[script.stem.partition("_")[0]] if find_spec(each) is None]
    if missing:
        reason = f"{', '.join(missing)} not installed: pip install -e '.[frameworks]'"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


def bare(script: Path, folder: Path) -> list[float]:
    folder.mkdir()
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", BARE, str(script)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    found = [line for line in done.stdout.splitlines() if line.startswith("LOSSES ")]
    assert found, done.stderr
    return [float.fromhex(each) for each in json.loads(found[-1].removeprefix("LOSSES "))]


@pytest.mark.parametrize("script", scripts())
def test_script(script: Path, tmp_path: Path, zygote: Zygote) -> None:
    require(script)
    folder = tmp_path / "examined"
    folder.mkdir()
    # Its two optimizers share one loop, whose steps are counted by the first one alone.
    report = examine(script, folder, zygote, compare=script.stem != "lightning_gan")
    findings, wanted = report["findings"], expected(script)
    assert wanted <= {place(f) for f in findings}, told(findings)
    codes = {code for code, _ in wanted}
    extra = [f for f in findings if f["severity"] != "info" and place(f) not in wanted]
    assert all(explained(f, findings, codes) for f in extra), told(findings)
    assert_no_trace(script, folder)
    tables = read(folder / report["run"]["recording"])
    assert_all_found(tables, script)
    assert_swept(tables)
    assert_same_losses([row["loss"] for row in tables["step"]], bare(script, tmp_path / "bare"))


def assert_all_found(tables: Rows, script: Path) -> None:
    trained = [row for row in tables["module"] if row["parameters"]]
    assert trained
    assert tables["optimizer"]
    assert any(row["facts"]["steps"] for row in tables["loader"])
    assert tables.run["backward_roots"]
    for row in (*trained, *tables["optimizer"], *tables["loader"]):
        assert row["file"] == script.name, row


def assert_swept(tables: Rows) -> None:
    facts = tables.facts("probe", "name", "learning-rate")
    assert facts is not None
    assert "missing" not in facts, facts
    assert len(facts["rates"]) >= 8, facts
    assert facts["paired"]


def assert_same_losses(recorded: list[float], alone: list[float]) -> None:
    steps = min(len(recorded), len(alone), STEPS)
    assert steps >= 20
    assert recorded[:steps] == alone[:steps]


def test_every_framework_has_a_sound_and_a_sick_script() -> None:
    kinds: dict[str, set[bool]] = {}
    for path in (FIXTURES / "frameworks").glob("*.py"):
        kinds.setdefault(path.stem.partition("_")[0], set()).add(bool(expected(path)))
    assert kinds == {name: {True, False} for name in PACKAGES}
