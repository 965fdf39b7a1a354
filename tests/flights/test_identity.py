"""A recorded program does what it would do alone: what it prints, computes, leaves on the disk and finds around it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.flights.flying import command, environment

WORLD = """
import hashlib, os, random, sys
os.environ["OMP_NUM_THREADS"] = "1"
if __name__ == "__main__":  # and not in processes that are spawned
    print("torch" in sys.modules, "numpy" in sys.modules)
    print(sys.argv, sys.path, __file__, getattr(__spec__, "name", None), __package__, sys.flags, os.getcwd())
    print(sorted(vars(sys.modules["__main__"])), sys.stdin.isatty(), input())
import multiprocessing
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from beside import helper

def square(x):
    return x * x

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.Dropout(0.3), nn.ReLU(), nn.Linear(16, 2))
    def forward(self, x):
        return self.body(x)

def main():
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(3)
    x = torch.randn(256, 8); y = (x.sum(1) > 0).long()
    loader = DataLoader(TensorDataset(x, y), 32, shuffle=True, num_workers=1)
    model = Net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for epoch in range(4):
        for a, b in loader:
            loss = nn.functional.cross_entropy(model(a), b)
            optimizer.zero_grad(); loss.backward(); optimizer.step()
            print(loss.item().hex())
    torch.save(model.state_dict(), "weights.pt")
    torch.save(model, "model.pt")
    print(torch.load("model.pt", weights_only=False)(x).sum().item().hex())
    states = (random.getstate(), np.random.get_state(), torch.get_rng_state().tolist())
    print(hashlib.sha256(repr(states).encode()).hexdigest())
    for kind in ("fork", "spawn"):
        with multiprocessing.get_context(kind).Pool(1) as pool:
            print(kind, pool.map(square, [1, 2, 3]))
    print(helper(), sorted(os.listdir(".")))

if __name__ == "__main__":
    main()
"""


def _output(folder: Path, *words: str) -> str:
    (folder / ".dnndoctor").mkdir(parents=True)  # so that folders are listed alike
    (folder / "train.py").write_text(WORLD)
    (folder / "beside.py").write_text("def helper():\n    return __name__, __file__\n")
    done = subprocess.run(
        words, cwd=folder, env=environment(), input="typed\n", capture_output=True, text=True, timeout=90, check=True
    )
    return done.stdout.replace(str(folder), "FOLDER")


@pytest.mark.parametrize("start", [("train.py",), ("-m", "train")])
def test_what_a_program_sees_and_gives(tmp_path: Path, start: tuple[str, ...]) -> None:
    bare = _output(tmp_path / "bare", sys.executable, *start, "--lr", "1")
    recorded = _output(tmp_path / "recorded", *command(*start, "--", "--lr", "1"))
    assert recorded.splitlines() == bare.splitlines()
    weights = [(tmp_path / each / "weights.pt").read_bytes() for each in ("bare", "recorded")]
    assert weights[0] == weights[1]
    assert len(list((tmp_path / "recorded" / ".dnndoctor").glob("*.dnnrec"))) == 1
