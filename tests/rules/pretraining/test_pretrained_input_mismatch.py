from __future__ import annotations

from typing import Any

import pytest

from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import Architecture, LearnedStatistics, Origins
from dnndoctor.rule import Result, State
from dnndoctor.rules.pretraining.pretrained_input_mismatch import pretrained_input_mismatch

BUILT = Location("train.py", 12)


def images(low: float, high: float, **changes: Any) -> Architecture:
    given: dict[str, Any] = {"loaded": True, "trained": True, "mean": 0.4, "std": 0.3}
    given |= {"expected_mean": (0.485, 0.456, 0.406), "expected_std": (0.229, 0.224, 0.225)}
    return Architecture("ResNet", "torchvision", BUILT, 11_000_000, low=low, high=high, **(given | changes))


def judge(*models: Architecture, ratio: float | None = None) -> Result:
    norms = (LearnedStatistics("backbone.bn1", ratio, 0.4, 64, 4096),) if ratio is not None else ()
    return pretrained_input_mismatch.evaluate({Origins: Origins(models, norms)})


def test_images_that_were_never_normalised() -> None:
    [found] = judge(images(0.0, 1.0)).findings
    assert found.severity is Severity.WARNING
    assert found.location == BUILT
    assert "lie between 0 and 1" in found.message
    assert found.fix is not None
    assert "mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]" in str(found.fix.code)


def test_normalised_images_pass() -> None:
    assert judge(images(-2.1, 2.6)).state is State.PASS


def test_a_norm_that_learned_another_scale() -> None:
    [found] = judge(ratio=130.0).findings
    assert "backbone.bn1 has 130 times the variance" in found.message
    [found] = judge(ratio=0.004).findings
    assert "one 250th of the variance" in found.message


@pytest.mark.parametrize(("ratio", "state"), [(5.9, State.PASS), (0.18, State.PASS), (6.1, State.FINDING)])
def test_scale_at_the_threshold(ratio: float, state: State) -> None:
    assert judge(ratio=ratio).state is state


def test_random_weights_expect_nothing() -> None:
    assert judge(images(0.0, 1.0, loaded=False)).state is State.NOT_APPLICABLE


def test_a_class_that_does_not_tell_its_normalisation() -> None:
    assert judge(images(0.0, 1.0, expected_mean=(), expected_std=())).state is State.NOT_APPLICABLE


def test_a_model_that_is_given_no_images() -> None:
    one = Architecture("BertModel", "transformers", BUILT, 11_000_000, loaded=True, trained=True)
    assert judge(one).state is State.NOT_APPLICABLE
