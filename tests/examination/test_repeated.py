"""The same script examined several times, for real."""

from __future__ import annotations

from tests.conftest import Check

SCRIPT = """
import torch
from torch import nn

torch.manual_seed(0)
model = nn.Linear(4, 1)
with open("weights.txt", "a") as file:
    print(float(model.weight[0, 0]), file=file)
optimizer = torch.optim.SGD(model.parameters(), lr={rate})
for _ in range(12):
    x = torch.randn(16, 4)
    loss = ((model(x) - x.sum(1, keepdim=True)) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


def test_runs_that_agree_are_enough(quick_check: Check) -> None:
    report = quick_check(SCRIPT.format(rate=0.05), "--repeat", "3", "--no-probes", "--steps", "8", "--keep-files")
    weights = (report["folder"] / "weights.txt").read_text().split()
    assert len(set(weights)) == 2, "each run has other seeds, and two that agree are enough"
    assert len(list((report["folder"] / ".dnndoctor").glob("*.dnnrec"))) == 2
    assert report["exit"] == 0


def test_a_script_that_cannot_be_examined_is_tried_once(quick_check: Check) -> None:
    report = quick_check("print('no training here')\n", "--repeat", "3", "--no-probes")
    assert report["exit"] == 2
    assert report["target"]["outcome"] == "not-examined"
    assert len(list((report["folder"] / ".dnndoctor").glob("*.dnnrec"))) == 1
