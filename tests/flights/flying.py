"""Recorded runs in tests: a script, a command line, and what came of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LOOP = """
import os, sys, time
import torch
from torch import nn
torch.manual_seed(0)
x = torch.randn(256, 8); y = (x.sum(1) > 0).long()
model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
def steps(number):
    for step in range(number):
        rows = torch.randint(256, (32,))
        loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
        optimizer.zero_grad(); loss.backward(); optimizer.step()
    return loss.item()
"""


@dataclass
class Ran:
    """How it ended; ``said`` on standard error, ``printed`` on standard output; ``found``: the JSON report, if any."""

    code: int
    printed: str
    said: str
    found: dict[str, Any]

    @property
    def codes(self) -> dict[str, str]:
        """The severity of each finding."""
        return {each["rule"]: each["severity"] for each in self.found.get("findings", ())}


def environment() -> dict[str, str]:
    """One thread, and nothing of what runs the tests."""
    known = {key: value for key, value in os.environ.items() if not key.startswith(("DNNDOCTOR", "PYTEST"))}
    return {**known, "OMP_NUM_THREADS": "1", "COLUMNS": "100"}


def command(*options: str) -> list[str]:
    """``dnndoctor run`` with a JSON report beside the script."""
    report = ("--output-format", "json", "--output-file", "found.json", "--html", "none")
    return [sys.executable, "-m", "dnndoctor", "run", *report, *options]


def report_of(folder: Path) -> dict[str, Any]:
    """The JSON report that lies there."""
    path = folder / "found.json"
    return json.loads(path.read_text()) if path.exists() else {}


def run(folder: Path, source: str, *words: str, options: tuple[str, ...] = (), given: str = "") -> Ran:
    """Write ``train.py`` there and run it, recorded."""
    (folder / "train.py").write_text(source)
    args = command(*options, "train.py", "--", *words)
    done = subprocess.run(
        args, cwd=folder, env=environment(), input=given, capture_output=True, text=True, timeout=120, check=False
    )
    return Ran(done.returncode, done.stdout, done.stderr, report_of(folder))
