from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import DataTensor, Overfitting, Run, TrainingData
from dnndoctor.rule import Result, State
from dnndoctor.rules.training_data.no_augmentation import no_augmentation
from tests.rules.growths import flat, growth

LOADER, NONE = Location("train.py", 9), np.zeros(0)


def data(*shape: int, kind: str = "float") -> TrainingData:
    return TrainingData(
        (DataTensor("input", "argument 1 of Net", LOADER, kind, shape, 64, 0, 1, 0, 1, NONE, NONE, NONE.astype(int)),)
    )


def judge(one: Overfitting, *more: Any, images: TrainingData | None = None, **thresholds: Any) -> Result:
    given = (one, images or data(32, 3, 16, 16), *more)
    return no_augmentation.evaluate({type(each): each for each in given}, thresholds)


def test_images_in_one_form_each() -> None:
    [found] = judge(growth()).findings
    assert found.severity is Severity.INFO
    assert found.location == LOADER
    assert "200 images come in one form each" in found.message


def test_augmented_images_pass() -> None:
    assert judge(growth(augmented=True)).state is State.PASS


def test_no_gap_passes() -> None:
    assert judge(flat()).state is State.PASS


@pytest.mark.parametrize(("length", "state"), [(49_999, State.FINDING), (50_000, State.PASS)])
def test_images_at_the_threshold(length: int, state: State) -> None:
    assert judge(growth(length=length, samples=length)).state is state


@pytest.mark.parametrize("other", [data(32, 64), data(32, 8, 8), data(32, 3, 16, 16, kind="integer")])
def test_what_is_no_image_is_not_judged(other: TrainingData) -> None:
    assert judge(growth(), images=other).state is State.NOT_APPLICABLE


def test_where_nobody_can_tell() -> None:
    assert judge(growth(augmented=None)).state is State.NOT_EXAMINED


def test_a_small_part_of_the_data_says_nothing_of_the_whole() -> None:
    assert judge(growth(length=2000)).state is State.NOT_EXAMINED


def test_adversaries_are_not_judged() -> None:
    assert judge(growth(), Run("cpu", None, 50, family="gan")).state is State.NOT_APPLICABLE
