"""Watched or probed, the user's own steps are those of a bare run: the same losses, bit for bit, for every fixture.

Where probes start at the end of the first epoch, what follows them is compared too: a parameter, a buffer, a moment, a
rate or a random stream that a probe left changed would show in the next loss.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from dnndoctor.recording.reader import read
from tests.conftest import TIMEOUT, Check
from tests.fixture_scripts import BUDGET, HEALTHY, SICK, of
from tests.zygote import Zygote

STEPS = 50
BARE = str(Path(__file__).parent.parent / "bare.py")
BORDERS = ("step", "closure")
Events = list[tuple[str, str]]
PROBED = [
    "digits_mlp",
    "digits_vae",
    "digits_gan",
    "digits_one_cycle",
    "digits_grad_scaler_fp16",
    "digits_ema_copy",
    "digits_dataset_calls_model",
    "digits_iterable_dataset",
    "diabetes_plateau",
    "wine_sgd_closure",
    "iris_manual_data_update",
    "char_lstm_carried_state",
    "breast_cancer_accumulation",
]


def bare(source: str, zygote: Zygote, folder: Path) -> Events:
    """What backward ran on and which optimizer stepped, in order."""
    (folder / "train.py").write_text(source)
    done = zygote.script(BARE, str(folder / "events.json"), "train.py", cwd=folder, timeout=TIMEOUT)
    assert done.returncode == 0, done.stderr
    events: Events = json.loads((folder / "events.json").read_text())
    return events


def losses(events: Events, recorded: list[float]) -> Iterator[float]:
    """The bare run's losses by step: each the sum of all that backward ran on since the step before.

    Of a closure, which an optimizer may evaluate at several points, it is the first evaluation. Which optimizer's steps
    end a step of the loop is not decided here, but taken from the recording: sums are closed where they agree with it.
    One that never agrees is given as it is, so that it shows.
    """
    kinds = {kind for kind, _ in events}
    source = "backward" if "backward" in kinds else "gradient"
    borders = kinds & set(BORDERS) or {source}
    wanted, values = iter(recorded), list[float]()
    target = next(wanted, None)
    ends = [0]  # of steps among the values; the first ones of an optimizer that is to take the lead have no row
    for kind, value in events:
        if kind == source:
            values.append(float.fromhex(value))
        total = values[0] if kind == "closure" and values else sum(values)
        if kind not in borders or not values or target is None:
            continue
        last = sum(values[ends[-1] :])
        if same(total, target) or (len(ends) <= UNCOUNTED + 1 and len(values) > ends[-1] and same(last, target)):
            yield total if same(total, target) else last
            target = next(wanted, None)
            values.clear()
            ends = [0]
        elif len(values) > ends[-1]:
            ends.append(len(values))
    if values and target is not None:
        yield sum(values)


def same(one: float, other: float) -> bool:
    """Infinite and undefined losses are recorded as missing."""
    return one == other or not (math.isfinite(one) or math.isfinite(other))


def assert_same_losses(source: str, report: dict[str, object], folder: Path, zygote: Zygote) -> None:
    run = report["run"]
    assert isinstance(run, dict)
    rows = read(folder / run["recording"])["step"]
    recorded = [math.nan if row["loss"] is None else row["loss"] for row in rows][:STEPS]
    events = bare(source, zygote, folder)
    found = list(losses(events, recorded))
    assert recorded, "no step was recorded"
    assert len(found) == len(recorded)
    assert all(map(same, found, recorded)), next(
        (i, a, b) for i, (a, b) in enumerate(zip(found, recorded, strict=True)) if not same(a, b)
    )
    steps = sum(kind in BORDERS for kind, _ in events) or len(events)
    broken = any(not math.isfinite(each) for each in recorded)
    assert broken or len(recorded) >= min(STEPS, steps) * SHARE


UNCOUNTED = 3  # steps of a later optimizer before it takes the lead
SHARE = 0.25  # steps of the loop among all steps of all optimizers, or among all gradients


# Fifty bare steps of four seconds each would say nothing more.
QUICK = [each for each in (*HEALTHY, *SICK) if each.id not in BUDGET]


@pytest.mark.parametrize("script", QUICK)
def test_watching_changes_no_loss(script: Path, quick_check: Check, tmp_path: Path, zygote: Zygote) -> None:
    source = script.read_text(encoding="utf-8")
    report = quick_check(source, "--no-probes")
    assert report["target"]["outcome"] == "examined", report["target"]["reason"]
    assert_same_losses(source, report, tmp_path, zygote)


@pytest.mark.parametrize("script", [of(name) for name in PROBED])
def test_probing_changes_no_loss(script: Path, quick_check: Check, tmp_path: Path, zygote: Zygote) -> None:
    source = script.read_text(encoding="utf-8")
    report = quick_check(source)
    assert report["target"]["outcome"] == "examined", report["target"]["reason"]
    assert_same_losses(source, report, tmp_path, zygote)


HEAD = """
import random
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
torch.manual_seed(0); random.seed(0); np.random.seed(0)
X = torch.randn(640, 12); y = (X.sum(1) > 0).long()
"""
LOADER = """
loader = DataLoader(TensorDataset(X, y), batch_size=32, shuffle=True)
for epoch in range(4):
    for xb, yb in loader:
        xb = xb + 0.1 * torch.randn_like(xb) + 0.01 * random.random() + 0.01 * np.random.rand()
        loss = nn.functional.cross_entropy(model(xb), yb)
        optimizer.zero_grad(); loss.backward(); optimizer.step()
        if scheduler is not None: scheduler.step()
"""
STYLES = {
    "adam with dropout": "model = nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Dropout(0.3), nn.Linear(32, 2))\n"
    "optimizer = torch.optim.Adam(model.parameters(), lr=1e-2); scheduler = None\n" + LOADER,
    "momentum, batch norm, schedule": "model = nn.Sequential(nn.Linear(12, 32), nn.BatchNorm1d(32), nn.Tanh(), "
    "nn.Linear(32, 2))\noptimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)\n"
    "scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 7, gamma=0.5)\n" + LOADER,
}


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("options", [(), ("--no-probes",)], ids=["probed", "only watched"])
def test_every_random_stream_is_put_back(
    style: str, options: tuple[str, ...], quick_check: Check, tmp_path: Path, zygote: Zygote
) -> None:
    source = HEAD + STYLES[style]
    assert_same_losses(source, quick_check(source, *options), tmp_path, zygote)


@pytest.mark.parametrize("wrong", [0, 7, 49])
def test_a_loss_that_differs_by_one_bit_is_seen(wrong: int) -> None:
    values = [1.0 / (i + 1) for i in range(STEPS)]
    events: Events = [event for value in values for event in (("backward", value.hex()), ("step", "0"))]
    assert list(losses(events, values)) == values
    recorded = [math.nextafter(v, 2.0) if i == wrong else v for i, v in enumerate(values)]
    assert list(losses(events, recorded)) != recorded
