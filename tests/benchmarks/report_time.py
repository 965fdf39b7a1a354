"""What a report costs: ``dnndoctor report`` on recordings of few layers and of many, over 50 steps and over 100,000.

Prints seconds of the whole command for each format, and where they go. The long recordings are a short one's steps,
repeated; a layer's figures are there for ``WATCHED`` of the steps.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SIZES = ((20, 50), (20, 100_000), (400, 50), (400, 100_000))
WATCHED = 200
FORMATS = ("html", "json", "full")
SCRIPT = """\
import torch
from torch import nn

torch.manual_seed(0)
layers = []
for _ in range({layers} - 1):
    layers += [nn.Linear(16, 16), nn.Tanh()]
model = nn.Sequential(*layers, nn.Linear(16, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
loader = torch.utils.data.DataLoader(
    torch.utils.data.TensorDataset(torch.randn(640, 16), torch.randint(3, (640,))), batch_size=32, shuffle=True
)
for epoch in range(3):
    for inputs, targets in loader:
        loss = nn.functional.cross_entropy(model(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
"""


def recorded(layers: int, steps: int, folder: Path) -> Path:
    """A recording of so many layers, stretched to so many steps."""
    (folder / "train.py").write_text(SCRIPT.format(layers=layers), encoding="utf-8")
    command = [sys.executable, "-m", "dnndoctor", "check", "train.py", "-q", "--html", "none", "--no-probes"]
    subprocess.run([*command, "--exit-zero"], cwd=folder, check=True, capture_output=True, env={**os.environ})
    [path] = (folder / ".dnndoctor").glob("*.dnnrec")
    stretch(path, steps)
    return path


def stretch(path: Path, steps: int) -> None:
    """Repeat what was recorded of the steps until there are so many."""
    database = sqlite3.connect(path)
    [[seen]] = database.execute("SELECT COUNT(*) FROM step").fetchall()
    for table in ("step", "gradient", '"update"', "activation", "output_gradient") if steps > seen else ():
        columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
        others = ", ".join(each for each in columns if each != "step")
        [[watched]] = database.execute(f"SELECT COUNT(DISTINCT step) FROM {table}").fetchall()
        copies = steps // seen if table == "step" else max(WATCHED // watched, 1)
        for copy in range(1, copies):
            shift = seen * copy if table == "step" else seen * (copy * (steps // seen - 1) // max(copies - 1, 1))
            insert = f"INSERT OR IGNORE INTO {table} (step, {others}) SELECT step + {shift}, {others} FROM {table}"
            database.execute(f"{insert} WHERE step < {seen}")
    database.commit()
    database.close()


def reported(path: Path, style: str) -> float:
    """Seconds of the whole command."""
    where = ["--html", str(path.with_suffix(".html"))] if style == "html" else ["--html", "none"]
    output = ["-q"] if style == "html" else ["--output-format", style]
    began = time.perf_counter()
    command = [sys.executable, "-m", "dnndoctor", "report", str(path), *where, *output, "--exit-zero"]
    done = subprocess.run(command, cwd=path.parents[1], capture_output=True, check=False)
    seconds = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(done.stderr.decode())
    return seconds


def main() -> None:
    """Print a line for each size."""
    for layers, steps in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            path = recorded(layers, steps, Path(folder))
            times = ", ".join(f"{each} {reported(path, each):.2f} s" for each in FORMATS)
            page = path.with_suffix(".html").stat().st_size
            size = path.stat().st_size / 2**20
            print(f"{layers} layers, {steps} steps ({size:.0f} MiB): {times}; page {page / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    main()
