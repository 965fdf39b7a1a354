from __future__ import annotations

from typing import Any

import pytest

from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import Architecture, Loaders, Origins
from dnndoctor.rule import Result, State
from dnndoctor.rules.pretraining.pretrained_available import pretrained_available

BUILT = Location("train.py", 12)


def model(**changes: Any) -> Architecture:
    given: dict[str, Any] = {"parameters": 11_181_642, "loaded": False, "trained": True}
    return Architecture("ResNet", "torchvision", BUILT, **(given | changes))


def judge(one: Architecture | None, samples: int | None = 5000, **thresholds: Any) -> Result:
    origins = Origins(architectures=(one,) if one else ())
    return pretrained_available.evaluate({Origins: origins, Loaders: Loaders((), 32, samples)}, thresholds)


def test_a_published_architecture_from_random_weights_on_little_data() -> None:
    [found] = judge(model()).findings
    assert found.severity is Severity.INFO
    assert found.location == BUILT
    assert "ResNet of torchvision is trained from random weights on 5,000 samples" in found.message
    assert found.fix is not None
    assert "weights=" in str(found.fix.code)


@pytest.mark.parametrize("package", ["timm", "transformers"])
def test_each_library_has_its_own_call(package: str) -> None:
    one = Architecture("ViT", package, BUILT, 5_000_000, loaded=False, trained=True)
    [found] = judge(one).findings
    assert found.fix is not None
    assert "pretrained" in str(found.fix.code)


def test_samples_at_the_threshold() -> None:
    assert judge(model(), 99_999).state is State.FINDING
    assert judge(model(), 100_000).state is State.PASS


def test_loaded_weights_pass() -> None:
    assert judge(model(loaded=True)).state is State.PASS


def test_a_toy_size_that_nobody_publishes_is_not_judged() -> None:
    assert judge(model(parameters=999_999)).state is State.NOT_APPLICABLE
    assert judge(model(parameters=1_000_000)).state is State.FINDING


def test_no_such_architecture_or_one_that_is_not_trained() -> None:
    assert judge(None).state is State.NOT_APPLICABLE
    assert judge(model(trained=False)).state is State.NOT_APPLICABLE


def test_an_unknown_number_of_samples() -> None:
    assert judge(model(), None).state is State.NOT_EXAMINED
