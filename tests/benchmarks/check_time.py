"""What an examination costs: ``dnndoctor check`` on a digits script against import torch and 300 bare steps.

Prints the ratio of wall times from interleaved repeats (median), and the share spent per phase. Not a test: a shared
machine cannot hold a timer to a bound.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPEATS = 5
ROOT = Path(__file__).parents[2]
SCRIPT = """
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
X, y = load_digits(return_X_y=True)
data = TensorDataset(torch.tensor(X / 16, dtype=torch.float32), torch.tensor(y))
loader = DataLoader(data, batch_size=32, shuffle=True)
model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
steps = 0
while steps < 300:
    for xb, yb in loader:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(xb), yb)
        loss.backward()
        optimizer.step()
        steps += 1
        if steps == 300:
            break
"""


def timed(command: list[str], folder: str) -> tuple[float, str]:
    """Wall seconds and standard output."""
    start = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, env={**os.environ})
    return time.perf_counter() - start, done.stdout


def main() -> None:
    """Run both, interleaved, and print medians."""
    bare, check, phases = [], [], {}
    for _ in range(REPEATS):
        folder = tempfile.mkdtemp()
        Path(folder, "train.py").write_text(SCRIPT)
        bare.append(timed([sys.executable, "train.py"], folder)[0])
        command = [sys.executable, "-m", "dnndoctor", "check", "train.py", "--output-format", "json", "-q"]
        seconds, out = timed(command, folder)
        check.append(seconds)
        phases = recorded_phases(Path(folder, json.loads(out)["run"]["recording"]))
        shutil.rmtree(folder)
    ratios = [c / b for b, c in zip(bare, check, strict=True)]
    print(f"bare {statistics.median(bare):.2f} s, check {statistics.median(check):.2f} s")
    print(f"ratio {statistics.median(ratios):.2f} (from {min(ratios):.2f} to {max(ratios):.2f})")
    whole = check[-1]
    for name, seconds in phases.items():
        print(f"  {name:<14} {seconds:6.2f} s  {seconds / whole:4.0%}")


def recorded_phases(recording: Path) -> dict[str, float]:
    """Seconds by phase, as the child measured them."""
    from dnndoctor.recording.reader import read

    return dict(read(recording).run["phases"])


if __name__ == "__main__":
    main()
