from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dnndoctor.findings import Severity
from dnndoctor.measurements import Loaders, Mode, Modes, Run
from dnndoctor.rule import State
from dnndoctor.rules.epochs.no_validation import no_validation as rule
from tests.literals import HERE, NO_HABITS, NO_HISTORY, a_plan, judged

LOADERS = Loaders((), 64, 50_000)


def test_a_short_run_is_information() -> None:
    [found] = judged(rule, a_plan(location=HERE, seconds=60.0), NO_HABITS, NO_HISTORY, LOADERS).findings
    assert (found.severity, found.location) == (Severity.INFO, HERE)
    assert "nothing is evaluated in 30 epochs" in found.message


@pytest.mark.parametrize(
    ("seconds", "samples", "family", "severity"),
    [
        (1200.0, 1000, "supervised", Severity.WARNING),
        (1199.0, 1000, "supervised", Severity.INFO),
        (1200.0, 999, "supervised", Severity.INFO),
        (1200.0, 1000, "diffusion", Severity.INFO),
        (None, 1000, "supervised", Severity.INFO),
    ],
)
def test_only_a_long_run_on_much_data_is_a_warning(
    seconds: float | None, samples: int, family: str, severity: Severity
) -> None:
    plan, run = a_plan(seconds=seconds), Run("cpu", None, 50, family=family)
    [found] = judged(rule, plan, NO_HABITS, NO_HISTORY, replace(LOADERS, dataset_length=samples), run).findings
    assert found.severity is severity


def test_an_evaluation_that_was_seen_or_is_spoken_of_is_enough() -> None:
    seen = Modes((Mode("Net", "evaluation", 3, False, None),), False)
    assert judged(rule, a_plan(), NO_HABITS, NO_HISTORY, seen).state is State.PASS
    assert judged(rule, a_plan(), replace(NO_HABITS, evaluates=HERE), NO_HISTORY).state is State.PASS
    points = replace(NO_HISTORY, validation_step=np.arange(3), validation_loss=np.ones(3))
    assert judged(rule, a_plan(), NO_HABITS, points).state is State.PASS


@pytest.mark.parametrize(
    ("plan", "state"),
    [
        (a_plan(5), State.FINDING),
        (a_plan(4), State.NOT_APPLICABLE),
        (a_plan(None), State.NOT_EXAMINED),
        (a_plan(framework="transformers"), State.NOT_EXAMINED),
    ],
)
def test_which_runs_are_judged(plan: Any, state: State) -> None:
    assert judged(rule, plan, NO_HABITS, NO_HISTORY).state is state
