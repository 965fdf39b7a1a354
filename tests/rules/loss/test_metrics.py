"""A loss function that measures under no_grad, as a metric, trains nothing: no rule on losses has a say in it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dnndoctor.findings import Location
from dnndoctor.measurements import LossInput, LossInputs, Run, Steps
from dnndoctor.rule import Rule, State
from dnndoctor.rules.loss.ignored_targets import ignored_targets
from dnndoctor.rules.loss.loss_sign import loss_sign
from dnndoctor.rules.loss.nll_on_raw_scores import nll_on_raw_scores
from dnndoctor.rules.loss.outliers_under_squared_error import outliers_under_squared_error
from dnndoctor.rules.loss.squared_error_for_classes import squared_error_for_classes
from dnndoctor.rules.loss.sum_reduced_loss import sum_reduced_loss
from tests.literals import an_optimizer, judged
from tests.rules.loss.fed import chain, fed, inputs

BELOW_ZERO = Steps(np.arange(30), np.full(30, -2.0), np.full(30, 0.1), np.zeros(30), np.zeros(30))
CLASSES: dict[str, Any] = {
    "rows": 500,
    "whole": True,
    "distinct": (0.0, 1.0),
    "target_std": 0.5,
    "late_error": 0.2,
    "one_hot": True,
}
QUANTILES = (-3.0, -2.0, -1.5, 0.0, 1.5, 2.0, 80.0)
FAR: dict[str, Any] = {"rows": 800, "judged_rows": 400, "late_error": 9.0, "target_std": 3.0, "target": QUANTILES}
SICK: list[tuple[Rule, LossInput]] = [
    (ignored_targets, fed("cross_entropy", (32, 10), (32,), ignore_index=0, ignored_share=0.4, rows=200)),
    (
        nll_on_raw_scores,
        fed("nll_loss", (32, 10), (32,), log_normaliser=2.3, lowest_log_normaliser=2.3, chain=chain("linear")),
    ),
    (outliers_under_squared_error, fed("mse_loss", (32,), outliers_share_of_error=0.8, outlying=0.02, **FAR)),
    (squared_error_for_classes, fed("mse_loss", (32, 10), **CLASSES)),
    (sum_reduced_loss, fed("mse_loss", (32, 1), reduction="sum")),
    (loss_sign, fed("cross_entropy", (32, 10), (32,), linear=True, sign=Location("train.py", 41))),
]


@pytest.mark.parametrize(("rule", "loss"), SICK)
def test_what_trains_is_found_and_what_measures_is_not(rule: Rule, loss: LossInput) -> None:
    around = (BELOW_ZERO, an_optimizer(), Run("cpu", None, 30))
    assert judged(rule, inputs(loss), *around).state is State.FINDING
    metric: LossInputs = inputs(replace(loss, input_differentiable=False))
    assert judged(rule, metric, *around).state is State.NOT_APPLICABLE
