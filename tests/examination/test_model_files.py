"""Model files are examined for real: what they hold is found, what is missing is chosen, and each of it is said."""

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

from tests.conftest import probing

MODELS = Path(__file__).parents[2] / "fixtures" / "models"
EXPECT = re.compile(r"#\s*expect:\s*([A-Z]{3}\d{3}(?:\s*,\s*[A-Z]{3}\d{3})*)")


def expected(file: Path) -> set[tuple[str, int]]:
    lines = enumerate(file.read_text(encoding="utf-8").splitlines(), start=1)
    return {(code.strip(), n) for n, line in lines if (m := EXPECT.search(line)) for code in m[1].split(",")}


def examine(folder: Path, name: str, *options: str) -> dict[str, Any]:
    command = [
        sys.executable,
        "-m",
        "dnndoctor",
        "check",
        name,
        "--output-format",
        "json",
        "--html",
        "none",
        *probing(options),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=200)
    assert done.stdout, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report | {"stderr": done.stderr}


def files(kind: str) -> list[Any]:
    return [pytest.param(path, id=path.stem) for path in sorted(MODELS.glob(f"{kind}_*.py"))]


@pytest.mark.parametrize("file", [*files("sick"), *files("healthy")])
def test_fixture(file: Path, tmp_path: Path) -> None:
    shutil.copy(file, tmp_path / file.name)
    wanted = expected(file)
    assert bool(wanted) == file.name.startswith("sick")
    report = examine(tmp_path, file.name)
    assert report["target"]["outcome"] == "examined", report["target"]["reason"]
    assert report["target"]["kind"] == "model"
    found = {
        (f["rule"], f["location"]["line"] if f["location"] else None)
        for f in report["findings"]
        if (f["severity"] != "info" and f["caused_by"] is None)
        or (f["rule"], (f["location"] or {}).get("line")) in wanted
    }
    assert found == wanted, [(f["rule"], f["location"], f["message"]) for f in report["findings"]]
    assert {each.name for each in tmp_path.iterdir()} == {file.name, ".dnndoctor"}


def states(report: dict[str, Any]) -> dict[str, tuple[str, str | None]]:
    return {each["rule"]: (each["state"], each["reason"]) for each in report["rules"]}


def test_what_dnndoctor_chose_is_said_and_not_judged(tmp_path: Path) -> None:
    shutil.copy(MODELS / "healthy_resnet.py", tmp_path / "net.py")
    report = examine(tmp_path, "net.py", "--no-probes", "--steps", "10")
    notes = report["stderr"]
    for said in ("model: ResNet8()", "input: floats [32, 3, 32, 32], as in the file's own call", "data: synthetic"):
        assert said in notes
    assert "loss: cross-entropy over 10 classes" in notes
    assert "optimizer: AdamW at 0.001" in notes
    found = states(report)
    for code, word in {
        "DAT101": "synthetic",
        "DAT110": "synthetic",
        "SHU101": "synthetic",
        "BAT101": "not tried",
        "LRN101": "",
        "INI106": "loss was chosen",
        "OPT102": "optimizer was chosen",
        "LOP101": "loop is dnndoctor's own",
    }.items():
        state, reason = found[code]
        assert state == "not-examined", code
        if code not in ("BAT101", "LRN101"):
            assert word in (reason or ""), code


SEVERAL = """
import torch
from torch import nn
class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 4)
    def forward(self, x): return self.layer(x)
class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 8)
    def forward(self, z): return self.layer(z)
def noise(output): return output.square().mean()
class Part:
    decoder = Decoder
"""


def test_several_models_are_named_and_one_can_be_chosen(tmp_path: Path) -> None:
    (tmp_path / "parts.py").write_text(SEVERAL)
    report = examine(tmp_path, "parts.py")
    assert report["target"]["outcome"] == "not-examined"
    assert "Encoder, Decoder" in report["target"]["reason"]
    assert "--model NAME" in report["target"]["reason"]
    options = ("--no-probes", "--steps", "5", "--optimizer", "torch.optim:SGD")
    report = examine(tmp_path, "parts.py", "--model", "Part.decoder", "--loss", "noise", "--input", "4", *options)
    assert report["target"]["outcome"] == "examined"
    assert "input: floats [32, 4], as given" in report["stderr"]
    assert "optimizer:" not in report["stderr"]


def test_a_target_may_name_the_model(tmp_path: Path) -> None:
    (tmp_path / "parts.py").write_text(f"{SEVERAL}\ndef make(): return Encoder()\n")
    for target, sizes in (("parts.py:Decoder", "[32, 4]"), ("parts:make", "[32, 8]")):
        report = examine(tmp_path, target, "--no-probes", "--steps", "4")
        assert report["target"]["outcome"] == "examined", report["target"]["reason"]
        assert report["target"]["kind"] == "model"
        assert f"input: floats {sizes}" in report["stderr"]


@pytest.mark.parametrize(
    ("source", "options", "said"),
    [
        ("class Net(nn.Module):\n    def __init__(self, width): super().__init__()", (), "model = Net(width=...)"),
        ("model = nn.Linear(4, 2, device='meta')", (), "to_empty"),
        ("model = nn.Sequential(nn.LazyLinear(4))", (), "lazy layers (0)"),
        ("model = nn.ReLU()", (), "no parameters"),
        ("model = nn.Linear(2, 2).requires_grad_(False)", (), "frozen"),
        ("model = 3", (), "no nn.Module"),
        ("model = nn.Linear(4, 2)", ("--model", "modle"), "nearest: model"),
        ("model = nn.Linear(4, 2)", ("--model", "no.such:thing"), "cannot be imported"),
        ("model = nn.Linear(4, 2)\ntrain_loader = iter([])", (), "used up after one pass"),
        ("model = nn.Linear(4, 2)\ntrain_loader = []", (), "no batch"),
        ("model = nn.Linear(4, 2)", ("--input", "5"), "does not take the inputs of --input"),
        (
            "model, optimizer = nn.Linear(4, 2), torch.optim.SGD(nn.Linear(3, 3).parameters())",
            (),
            "none of the parameters",
        ),
        ("def loss_fn(o, t): return o\nmodel = nn.Linear(4, 2)", (), "one number"),
    ],
)
def test_what_cannot_be_trained_is_one_line(source: str, options: tuple[str, ...], said: str, tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text(f"import torch\nfrom torch import nn\n{source}\n")
    report = examine(tmp_path, "m.py", *options)
    assert report["target"]["outcome"] == "not-examined"
    assert said in report["target"]["reason"], report["target"]["reason"]
    assert "\n" not in report["target"]["reason"]


RAISING = """import torch
from torch import nn
class M(nn.Linear):
    def forward(self, x):
        raise KeyError("weights")
model = M(3, 3)
train_loader = [(torch.randn(4, 3), torch.randn(4, 3))]
"""


def test_a_model_that_raises_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text(RAISING)
    report = examine(tmp_path, "m.py")
    assert report["target"]["outcome"] == "not-examined"
    assert "KeyError: 'weights' at m.py:5" in report["target"]["reason"]
