"""Watched and probed, the user's own steps are those of a bare run: same losses, bit for bit.

The probes start at the end of the first epoch here, and what follows them is compared too: a parameter, a buffer, a
moment, a rate or a random stream that a probe left changed would show in the next loss.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dnndoctor.recording.reader import read
from tests.conftest import Check

HEAD = """
import random, sys
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
torch.manual_seed(0); random.seed(0); np.random.seed(0)
X = torch.randn(640, 12); y = (X.sum(1) > 0).long()
losses = []
"""
LOADER = """
loader = DataLoader(TensorDataset(X, y), batch_size=32, shuffle=True)
for epoch in range(3):
    for xb, yb in loader:
        xb = xb + 0.1 * torch.randn_like(xb) + 0.01 * random.random() + 0.01 * np.random.rand()
        loss = nn.functional.cross_entropy(model(xb), yb)
        optimizer.zero_grad(); loss.backward(); optimizer.step()
        if scheduler is not None: scheduler.step()
        print("LOSS", float(loss.detach()).hex(), flush=True)
"""
STYLES = {
    "adam with dropout": "model = nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Dropout(0.3), nn.Linear(32, 2))\n"
    "optimizer = torch.optim.Adam(model.parameters(), lr=1e-2); scheduler = None\n" + LOADER,
    "momentum, batch norm, schedule": "model = nn.Sequential(nn.Linear(12, 32), nn.BatchNorm1d(32), nn.Tanh(), "
    "nn.Linear(32, 2))\noptimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)\n"
    "scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 7, gamma=0.5)\n" + LOADER,
    "by hand": "model = nn.Sequential(nn.Linear(12, 32), nn.GELU(), nn.Linear(32, 2))\n"
    "optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)\n"
    "for step in range(60):\n"
    "    pick = torch.randint(0, 640, (32,))\n"
    "    loss = nn.functional.cross_entropy(model(X[pick]), y[pick])\n"
    "    optimizer.zero_grad(); loss.backward(); optimizer.step()\n"
    "    print('LOSS', float(loss.detach()).hex(), flush=True)\n",
}


def bare(source: str, folder: Path) -> list[float]:
    script = folder / "bare.py"
    script.write_text(source)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    out = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True, env=environment).stdout
    return [float.fromhex(line.split()[1]) for line in out.splitlines() if line.startswith("LOSS")]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("options", [(), ("--no-probes",)], ids=["probed", "only watched"])
def test_losses_are_those_of_a_bare_run(style: str, options: tuple[str, ...], check: Check, tmp_path: Path) -> None:
    report = check(HEAD + STYLES[style], *options)
    recorded = [row["loss"] for row in read(tmp_path / report["run"]["recording"])["step"]][:50]
    assert report["target"]["outcome"] == "examined"
    assert len(recorded) == 50
    assert recorded == bare(HEAD + STYLES[style], tmp_path)[:50]
