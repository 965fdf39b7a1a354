"""Watched or probed, the user's own steps are those of a bare run: the same losses, bit for bit.

Every fixture is held to it where it is examined. Here are loops in which what follows the probes is compared too: a
parameter, a buffer, a moment, a rate or a random stream that a probe left changed would show in the next loss.
"""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tests.bit_identity import STEPS, Events, assert_same_losses, losses
from tests.conftest import Check
from tests.fixture_scripts import of
from tests.zygote import Zygote

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


@pytest.mark.parametrize("script", [of(name) for name in PROBED])
@pytest.mark.parametrize("options", [("--all-probes",), ("--no-probes",)], ids=["probed", "only watched"])
def test_no_loss_is_changed(
    script: Path, options: tuple[str, ...], quick_check: Check, tmp_path: Path, zygote: Zygote
) -> None:
    source = script.read_text(encoding="utf-8")
    report = quick_check(source, *options)
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
