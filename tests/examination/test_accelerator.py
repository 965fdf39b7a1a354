"""On a machine with an accelerator: the same examination, with memory measured and an idle accelerator named."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from dnndoctor.measurements import BatchSweep, LearningRateSweep, Run
from dnndoctor.recording import load
from tests.conftest import Check

pytestmark = pytest.mark.accelerator

SOURCE = """
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
torch.manual_seed(0)
X = torch.randn(6400, 64); y = (X @ torch.randn(64, 10)).argmax(1)
device = torch.device(DEVICE)
model = nn.Sequential(nn.Linear(64, 512), nn.ReLU(), nn.Dropout(0.1), nn.Linear(512, 512), nn.ReLU(),
                      nn.Linear(512, 10)).to(device)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
scaler = torch.amp.GradScaler(device.type, enabled=AMP)
for epoch in range(4):
    for xb, yb in DataLoader(TensorDataset(X, y), batch_size=64, shuffle=True, pin_memory=AMP):
        xb, yb = xb.to(device, non_blocking=True), yb.to(device, non_blocking=True)
        optimizer.zero_grad()
        with torch.autocast(device.type, dtype=torch.float16, enabled=AMP):
            loss = nn.functional.cross_entropy(model(xb), yb)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
"""


def script(device: str, amp: bool = False) -> str:
    return SOURCE.replace("DEVICE", repr(device)).replace("AMP", str(amp))


@pytest.mark.parametrize("amp", [False, True])
def test_a_sound_script_on_the_accelerator(check: Check, tmp_path: Path, amp: bool) -> None:
    report = check(script("cuda", amp))
    assert report["target"]["outcome"] == "examined"
    assert report["run"]["device"] == "cuda"
    assert [f for f in report["findings"] if f["severity"] != "info"] == []
    measured = load(tmp_path / report["run"]["recording"])
    assert measured[Run].accelerator
    assert isinstance(measured[LearningRateSweep], LearningRateSweep)
    peaks = measured[BatchSweep].peak_bytes
    assert all(math.isfinite(each) for each in peaks)
    assert peaks[-1] > peaks[0]


def test_an_idle_accelerator_is_named(check: Check) -> None:
    report = check(script("cpu"))
    assert [f["rule"] for f in report["findings"] if f["severity"] == "error"] == ["HWR101"]


def test_random_streams_of_the_accelerator_are_put_back() -> None:
    import torch
    from torch import nn

    from dnndoctor.probes.snapshot import Snapshot

    model = nn.Linear(2, 2).cuda()
    snapshot = Snapshot([model], [], [])
    first = torch.randn(4, device="cuda")
    snapshot.restore()
    assert torch.equal(first, torch.randn(4, device="cuda"))
