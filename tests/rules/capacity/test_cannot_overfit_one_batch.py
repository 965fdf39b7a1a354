from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import Layer, Layers, Loss, Losses, OneBatch, OneBatchTrial, Run
from dnndoctor.rule import Result, State
from dnndoctor.rules.capacity.cannot_overfit_one_batch import cannot_overfit_one_batch

LOSS = Loss("cross_entropy", Location("train.py", 40), 2.3, classes=10)


def layer(name: str, units: int, **changes: Any) -> Layer:
    return Layer(name, "linear", f"{name}.weight", Location("train.py", units), 64, units, 64, units, **changes)


LAYERS = Layers("Net", (layer("wide", 128), layer("narrow", 2), layer("head", 10, output=True)))


def trial(final: float, steps: int = 200, late: float = 0.0, **changes: Any) -> OneBatchTrial:
    """From 2.3 to ``final``; ``late``: what falls in the last third."""
    curve = np.concatenate([np.linspace(2.3, final + late, 20), np.full(13, final + late), np.full(17, final)])
    given: dict[str, Any] = {"rate": 0.01, "dropout": True, "start": 2.3, "learned": final <= 0.23, "curve": curve}
    return OneBatchTrial(steps=steps, final=final, **(given | changes))


def judge(*trials: OneBatchTrial, loss: Loss = LOSS, layers: Layers = LAYERS, **facts: Any) -> Result:
    one = OneBatch(trials, **({"samples": 32, "contradicting": 0, "entropy": 0.0} | facts))
    return cannot_overfit_one_batch.evaluate({OneBatch: one, Losses: Losses((loss,)), Layers: layers})


def test_a_batch_that_no_rate_learns_is_a_warning_at_the_narrowest_layer() -> None:
    [found] = judge(trial(2.2), trial(1.9, rate=0.1), trial(np.inf, rate=1.0)).findings
    assert found.severity is Severity.WARNING
    assert found.location == Location("train.py", 2)
    assert "from 2.3 to 1.9 only, at the best of 3 rates" in found.message
    assert found.fix is not None
    assert "narrow with 2 units" in found.fix.explanation


def test_one_trial_that_learns_is_enough() -> None:
    assert judge(trial(2.2), trial(0.2, rate=0.1, dropout=False)).state is State.PASS


def test_at_the_threshold() -> None:
    assert judge(trial(1.16)).state is State.FINDING
    assert judge(trial(1.14)).state is State.PASS


def test_what_still_falls_is_given_time() -> None:
    assert judge(trial(1.9, late=0.3)).state is State.PASS
    assert judge(trial(1.9, late=0.1)).state is State.FINDING


def test_what_falls_slowly_is_information_unless_a_layer_is_narrow() -> None:
    wide = Layers("Net", (layer("wide", 128), layer("also", 64), layer("head", 10, output=True)))
    assert judge(trial(1.9, late=0.02), layers=wide).findings[0].severity is Severity.WARNING
    assert judge(trial(1.9, late=0.05), layers=wide).findings[0].severity is Severity.INFO
    assert judge(trial(1.9, late=0.05)).findings[0].severity is Severity.WARNING


def test_contradicting_samples_cost_what_they_cost() -> None:
    assert judge(trial(1.6), entropy=1.0, contradicting=32).state is State.PASS
    assert judge(trial(1.7), entropy=1.0, contradicting=32).state is State.FINDING
    squares = Loss("mse_loss", None, 2.3)
    assert judge(trial(1.6), loss=squares, variance=1.0, entropy=None).state is State.PASS


@pytest.mark.parametrize(
    "loss",
    [
        Loss("expression", None, 2.3, plain=False),
        Loss("cross_entropy", None, 2.3, plain=False),
        Loss("cosine_embedding_loss", None, 2.3),
    ],
)
def test_a_floor_that_is_not_known(loss: Loss) -> None:
    result = judge(trial(2.2), loss=loss)
    assert result.state is State.NOT_EXAMINED
    assert "its floor is not known" in (result.reason or "")
    assert judge(trial(1.1), loss=loss).state is State.PASS, "half of the way to zero is enough for any"


def test_too_few_steps_say_nothing() -> None:
    assert judge(trial(2.2, steps=99)).state is State.NOT_EXAMINED
    assert judge(trial(2.2, steps=100)).state is State.FINDING


def test_a_linear_model_is_not_asked_to() -> None:
    assert judge(trial(2.2), layers=Layers("Net", (layer("head", 10, output=True),))).state is State.NOT_APPLICABLE


@pytest.mark.parametrize("family", ["gan", "reinforcement", "contrastive", "variational", "diffusion"])
def test_families_whose_loss_has_another_floor(family: str) -> None:
    measured = {
        OneBatch: OneBatch((trial(2.2),)),
        Losses: Losses((LOSS,)),
        Layers: LAYERS,
        Run: Run("cpu", None, 50, family=family),
    }
    assert cannot_overfit_one_batch.evaluate(measured).state is State.NOT_APPLICABLE


def test_a_batch_whose_loss_began_at_its_floor_tells_nothing() -> None:
    assert judge(trial(0.9, start=0.9), entropy=1.0, contradicting=32).state is State.NOT_EXAMINED
    assert judge(trial(2.2, start=np.nan)).state is State.NOT_EXAMINED
