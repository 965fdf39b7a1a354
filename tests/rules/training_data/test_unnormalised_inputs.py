from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import DataTensor, Layer, Layers, Parameter, TrainingData, Weights
from dnndoctor.rule import Result, State
from dnndoctor.rules.training_data.unnormalised_inputs import unnormalised_inputs

WINE_MEAN = np.array([13.0, 2.34, 2.37, 19.5, 99.7, 2.3, 2.03, 0.36, 1.59, 5.06, 0.96, 2.61, 747.0])
WINE_STD = np.array([0.81, 1.11, 0.27, 3.33, 14.2, 0.62, 1.0, 0.12, 0.57, 2.31, 0.23, 0.71, 314.0])


def judge(*measured: Any, **thresholds: Any) -> Result:
    return unnormalised_inputs.evaluate({type(each): each for each in measured}, thresholds)


def tensor(mean: float, std: float, **changes: Any) -> DataTensor:
    given: dict[str, Any] = {
        "role": "input",
        "name": "argument 1 of Net",
        "location": Location("train.py", 12),
        "kind": "float",
        "shape": (32, 784),
        "samples": 640,
        "low": mean - 3 * std,
        "high": mean + 3 * std,
        "feature_mean": np.zeros(0),
        "feature_std": np.zeros(0),
        "feature_distinct": np.zeros(0, np.int64),
    }
    return DataTensor(mean=mean, std=std, **(given | changes))


def table(means: Any, stds: Any, distinct: int = 17) -> DataTensor:
    means, stds = np.asarray(means, float), np.asarray(stds, float)
    overall = float(np.sqrt(np.mean(stds**2) + means.var()))
    counts = np.full(means.size, distinct)
    shape = (32, means.size)
    features = {"feature_mean": means, "feature_std": stds, "feature_distinct": counts}
    return tensor(float(means.mean()), overall, shape=shape, **features)


def data(*tensors: DataTensor, first: str = "linear") -> TrainingData:
    return TrainingData(tensors, first)


def test_raw_pixels_are_found_with_the_exact_transform() -> None:
    [found] = judge(data(tensor(33.3, 78.6))).findings
    assert found.severity is Severity.WARNING
    assert found.location == Location("train.py", 12)
    assert "78.6" in found.message
    assert found.fix is not None
    assert found.fix.code == "x = (x - 33.3) / 78.6"


def test_raw_wine_is_found_feature_by_feature() -> None:
    [found] = judge(data(table(WINE_MEAN, WINE_STD))).findings
    assert "differ" in found.message
    assert found.fix is not None
    assert "13, 2.34, 2.37, ..." in str(found.fix.code)


def test_a_large_offset_is_found() -> None:
    assert judge(data(tensor(290.0, 8.0))).state is State.FINDING


@pytest.mark.parametrize(
    "sound",
    [
        tensor(0.0, 1.0),
        tensor(0.47, 0.25),
        tensor(4.88, 6.02),
        tensor(0.0, 0.0476),
        tensor(5.8, 0.8),
        tensor(-0.4, 0.3),
        table([0.0] * 13, [1.0] * 13),
        table([0.0, 0.0, 0.0], [1.0, 0.001, 0.002]),
    ],
    ids=["standardised", "unit-range", "digits-0-16", "scaled-diabetes", "iris", "small", "table", "small-features"],
)
def test_usual_scales_pass(sound: DataTensor) -> None:
    assert judge(data(sound)).state is State.PASS


def test_deviation_at_the_threshold() -> None:
    assert judge(data(tensor(0.0, 10.0))).state is State.PASS
    assert judge(data(tensor(0.0, 10.1))).state is State.FINDING


def test_offset_at_the_threshold() -> None:
    assert judge(data(tensor(24.0, 8.0))).state is State.PASS
    assert judge(data(tensor(24.1, 8.0))).state is State.FINDING


def test_spread_at_the_threshold() -> None:
    # Many features of unit scale hold the overall deviation under 10, so that the spread alone decides.
    at = table([0.0] * 40, [0.1] * 39 + [10.001])
    assert judge(data(at), largest_spread=101.0).state is State.PASS
    assert judge(data(at), largest_spread=100.0).state is State.FINDING


def test_principal_components_pass() -> None:
    assert judge(data(table([0.0] * 8, [9.9, 5.0, 3.0, 2.0, 1.0, 0.5, 0.3, 1e-9]))).state is State.PASS


def test_one_hot_columns_are_not_compared() -> None:
    assert judge(data(table([0.0] * 40, [0.01] * 39 + [10.1], distinct=2))).state is State.PASS


@pytest.mark.parametrize("first", ["norm", "embedding"])
def test_a_first_layer_that_normalises_is_not_judged(first: str) -> None:
    assert judge(data(tensor(33.3, 78.6), first=first)).state is State.NOT_APPLICABLE


def test_tokens_are_not_judged() -> None:
    assert judge(data(tensor(5000.0, 3000.0, kind="integer"))).state is State.NOT_APPLICABLE


def test_targets_are_not_judged() -> None:
    assert judge(data(tensor(152.0, 77.0, role="target"))).state is State.NOT_APPLICABLE


def test_a_time_beside_the_input_is_not_judged() -> None:
    assert judge(data(tensor(0.0, 1.0), tensor(500.0, 288.0, shape=(32, 1)))).state is State.PASS


def test_an_additive_mask_is_not_judged() -> None:
    assert judge(data(tensor(0.0, 1.0), tensor(-4e8, 4e8, low=-1e9, high=0.0))).state is State.PASS


@pytest.mark.parametrize(("unit_std", "state"), [(45.0, State.FINDING), (45.0 / 255, State.PASS)])
def test_a_model_that_rescales_its_own_input_is_sound(unit_std: float, state: State) -> None:
    layer = Layer("fc1", "linear", "fc1.weight", None, 784, 64, 784, 64, first=True, unit_std=unit_std)
    weight = Parameter("fc1.weight", "fc1", "Linear", (64, 784), "weight", 784, 64, True, std=0.0206)
    assert judge(data(tensor(33.3, 78.6)), Layers("Net", (layer,)), Weights((weight,))).state is state


@pytest.mark.parametrize(("low", "high"), [(-900.0, 0.0), (-2e4, 900.0)])
def test_negative_inputs_are_no_mask(low: float, high: float) -> None:
    assert judge(data(tensor(-300.0, 90.0, low=low, high=high))).state is State.FINDING


@pytest.mark.parametrize("unit_std", [None, 0.1])
def test_a_layer_whose_weight_or_output_was_not_seen_excuses_nothing(unit_std: float | None) -> None:
    layer = Layer("fc1", "linear", "fc1.weight", None, 784, 64, 784, 64, first=True, unit_std=unit_std)
    weight = Parameter("fc1.weight", "fc1", "Linear", (64, 784), "weight", 784, 64, True, std=0.0206)
    assert judge(data(tensor(33.3, 78.6)), Layers("Net", (layer,))).state is State.FINDING
    unseen = Weights((weight,) if unit_std is None else ())
    assert judge(data(tensor(33.3, 78.6)), Layers("Net", (layer,)), unseen).state is State.FINDING


def before_norm(norm: str, *tensors: DataTensor) -> TrainingData:
    return TrainingData(tensors, "conv", norm)


@pytest.mark.parametrize("norm", ["batch_norm", "instance_norm", "layer_norm", "group_norm"])
def test_a_norm_right_behind_the_first_layer_takes_the_scale_away(norm: str) -> None:
    assert judge(before_norm(norm, tensor(33.3, 78.6))).state is State.PASS


def test_a_norm_behind_the_first_layer_does_not_even_out_features() -> None:
    assert judge(before_norm("batch_norm", table(WINE_MEAN, WINE_STD))).state is State.FINDING


@pytest.mark.parametrize(("norm", "state"), [("batch_norm", State.PASS), ("layer_norm", State.FINDING)])
def test_only_norms_over_the_batch_or_the_image_take_the_mean_away(norm: str, state: State) -> None:
    assert judge(before_norm(norm, tensor(290.0, 8.0))).state is state


def test_a_pair_of_inputs_with_one_cause_is_one_finding() -> None:
    pair = data(tensor(33.3, 78.6), tensor(33.1, 78.2, name="argument 2 of Net"))
    assert len(judge(pair).findings) == 1


@pytest.mark.parametrize("change", [{"std": 20.0}, {"location": Location("train.py", 13)}, {"shape": (32, 9)}])
def test_inputs_of_another_kind_or_place_are_told_by_themselves(change: dict[str, Any]) -> None:
    other = tensor(33.1, change.pop("std", 78.2), name="argument 2 of Net", **change)
    assert len(judge(data(tensor(33.3, 78.6), other)).findings) == 2
