"""Several trainings in one program: each has a recording, and the one with most errors is told of."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dnndoctor.recording.launches import flights_at, launches
from dnndoctor.recording.reader import read
from tests.flights.flying import LOOP, run

FINETUNED = (
    LOOP
    + """
first = steps(120)
encoder = model[:2]
model = nn.Sequential(encoder, nn.Linear(16, 2))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
second = steps(120)
optimizer.param_groups[0]["lr"] = 1e30
steps(30)
"""
)

AGAINST_EACH_OTHER = (
    LOOP
    + """
other = nn.Linear(8, 2)
adam = torch.optim.Adam(other.parameters(), lr=1e-3)
for _ in range(4):
    steps(30)
    for _ in range(40):
        loss = (other(x) ** 2).mean()
        adam.zero_grad(); loss.backward(); adam.step()
"""
)

ANEW = (
    LOOP
    + """
for _ in range(4):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    steps(60)
"""
)


def test_a_network_that_is_trained_and_then_built_into_another(tmp_path: Path) -> None:
    ran = run(tmp_path, FINETUNED)
    first, second = (tmp_path / ".dnndoctor" / name for name in ("train.dnnrec", "train-2.dnnrec"))
    assert (ran.code, ran.codes.get("NUM101")) == (1, "error"), ran
    assert ran.found["run"]["recording"] == ".dnndoctor/train-2.dnnrec"
    assert "2 trainings of this run were recorded; this is number 2" in ran.said
    assert [each.lead.path.name for each in launches(flights_at([first.parent]))] == [first.name, second.name]
    assert read(first).run["steps"] == 120
    assert {row["name"] for row in read(second)["parameter"]} == {"0.0.weight", "0.0.bias", "1.weight", "1.bias"}
    losses = [_losses(each) for each in (first, second)]
    assert np.isfinite(losses[0]).all()
    assert not np.isfinite(losses[1]).all()


def _losses(recording: Path) -> np.ndarray:
    rows = read(recording)
    return next(rows.points[row["id"]].value for row in rows["series"] if row["role"] == "loss")


def test_networks_that_train_in_turn_are_one_training(tmp_path: Path) -> None:
    ran = run(tmp_path, AGAINST_EACH_OTHER)
    assert ran.code == 0, ran
    assert [each.name for each in (tmp_path / ".dnndoctor").glob("*.dnnrec")] == ["train.dnnrec"]


def test_an_optimizer_that_is_made_anew_goes_on_with_the_training(tmp_path: Path) -> None:
    ran = run(tmp_path, ANEW)
    assert ran.code == 0, ran
    [recording] = (tmp_path / ".dnndoctor").glob("*.dnnrec")
    assert read(recording).run["steps"] == 240
