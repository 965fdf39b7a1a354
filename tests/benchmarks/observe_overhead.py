"""What observing costs a step, and an examination in memory.

Time: steps of three models bare, watched (as the first steps of an examination are, probes off) and unwatched (as the
steps of a trial or after the watch are), interleaved, in processor time; medians of the ratios to the bare steps.
Memory: peak resident set of the child process against a bare run of the same script, with the size of parameters and
optimizer state beside it, since one copy of these is the snapshot. Prints only: a shared machine holds no bound.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from dnndoctor.observe.watch import Watch
from dnndoctor.probes.conductor import Conductor
from dnndoctor.recording.writer import Writer
from dnndoctor.subject.hooks import install

STEPS = 50
Step = Callable[[], None]


class Block(nn.Module):
    """A residual block of two convolutions, as in ResNet-18."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        same = stride == 1 and inputs == outputs
        self.skip = nn.Sequential() if same else nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[batch, inputs, height, width] to [batch, outputs, height / stride, width / stride]."""
        out = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(out)) + self.skip(x))


def mlp() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    """784-512-512-10, batch 64."""
    model = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))
    return model, torch.randn(64, 784), torch.randint(0, 10, (64,))


def conv_net() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    """The shape of ResNet-18 at width 16, on 32 x 32, batch 32."""
    blocks: list[nn.Module] = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    width = 16
    for outputs, stride in ((16, 1), (32, 2), (64, 2), (128, 2)):
        blocks += [Block(width, outputs, stride), Block(outputs, outputs, 1)]
        width = outputs
    blocks += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10)]
    return nn.Sequential(*blocks), torch.randn(32, 3, 32, 32), torch.randint(0, 10, (32,))


def transformer() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    """Four encoder layers of width 256 on 128 tokens, batch 8."""
    layer = nn.TransformerEncoderLayer(256, 4, 512, batch_first=True, norm_first=True)
    model = nn.Sequential(nn.Embedding(64, 256), nn.TransformerEncoder(layer, 4, enable_nested_tensor=False))
    head = nn.Sequential(model, nn.Linear(256, 64), nn.Flatten(0, 1))
    tokens = torch.randint(0, 64, (8, 128))
    return head, tokens, tokens.flatten()


def step_of(make: Callable[[], tuple[nn.Module, torch.Tensor, torch.Tensor]]) -> Step:
    """One optimizer step of a fresh model."""
    torch.manual_seed(0)
    model, inputs, targets = make()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

    def step() -> None:
        optimizer.zero_grad()
        torch.autograd.backward([functional.cross_entropy(model(inputs), targets)])
        optimizer.step()

    return step


def seconds(step: Step, count: int) -> float:
    """Processor seconds of so many steps."""
    start = time.process_time()
    for _ in range(count):
        step()
    return time.process_time() - start


def examined(
    make: Callable[[], tuple[nn.Module, torch.Tensor, torch.Tensor]], folder: str, count: int
) -> tuple[float, float]:
    """Processor seconds of watched steps and of unwatched ones, within one examination."""
    writer = Writer(str(Path(folder, f"{time.time_ns()}.dnnrec")))
    watch = Watch(writer)
    conductor = Conductor(watch, steps=10**9, probes=False, deadline=float("inf"), report=lambda *_: None)
    installed = install(watch, conductor)
    try:
        step = step_of(make)
        with watch.forward:
            watched = seconds(step, count)
        watch.observing = False  # as in a trial, without the mode
        watch.passes_in_trials = 0
        assert conductor.module_hooks is not None
        conductor.module_hooks.remove()
        return watched, seconds(step, count)
    finally:
        installed.remove()
        writer.close()


def time_ratios(repeats: int) -> None:
    """Print the ratios to bare steps."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        for make, count in ((mlp, STEPS), (conv_net, STEPS), (transformer, STEPS // 2)):
            rows = []
            for _ in range(repeats):
                bare = seconds(step_of(make), count)
                watched, unwatched = examined(make, folder, count)
                rows.append((watched / bare, unwatched / bare, bare / count))
            medians = [statistics.median(each) for each in zip(*rows, strict=True)]
            print(
                f"{make.__name__:<12} step {medians[2] * 1e3:7.1f} ms   "
                f"watched {medians[0]:.2f} (worst {max(r[0] for r in rows):.2f})   "
                f"unwatched {medians[1]:.3f} (worst {max(r[1] for r in rows):.3f})"
            )


SCRIPT = """
import torch
from torch import nn
torch.manual_seed(0)
width = {width}
X = torch.randn(4096, 256); y = torch.randint(0, 10, (4096,))
data = torch.utils.data.TensorDataset(X, y)
loader = torch.utils.data.DataLoader(data, batch_size=64, shuffle=True)
model = nn.Sequential(nn.Linear(256, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for epoch in range(2):
    for xb, yb in loader:
        loss = nn.functional.cross_entropy(model(xb), yb)
        optimizer.zero_grad(); loss.backward(); optimizer.step()
"""


def peaks(width: int) -> None:
    """Print the peak resident set of the child, bare and examined."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "train.py").write_text(SCRIPT.format(width=width))
        bare = _peak_of([sys.executable, "train.py"], folder, environment)
        command = [sys.executable, "-m", "dnndoctor", "check", "train.py", "--output-format", "json", "-q"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment)
        from dnndoctor.recording.reader import read

        row = read(Path(folder, json.loads(done.stdout)["run"]["recording"])).run
    parameters = 256 * width + width * width + 10 * width + 2 * width + 10
    copy = 3 * 4 * parameters / 2**20  # Adam: the parameters and two moments
    child = row["peak_bytes"] / 2**20
    print(
        f"width {width:<6} bare {bare:6.0f} MiB   child {child:6.0f} MiB   snapshot {copy:5.0f} MiB   "
        f"(child - snapshot) / bare {(child - copy) / bare:.2f}"
    )


def _peak_of(command: list[str], folder: str, environment: dict[str, str]) -> float:
    probe = "import runpy; runpy.run_path('train.py', run_name='__main__'); "
    probe += "from dnndoctor.observe import device; print(device.peak_resident_bytes())"
    out = subprocess.run(
        [command[0], "-c", probe], cwd=folder, capture_output=True, text=True, check=True, env=environment
    ).stdout
    return float(out.split()[-1]) / 2**20


if __name__ == "__main__":
    time_ratios(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
    for each in (64, 1024, 4096):
        peaks(each)
