from __future__ import annotations

from typing import Any

import pytest

from dnndoctor.changes import Safety, SetArgument
from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import Loader, Loaders, Run, SampleOrder
from dnndoctor.rule import Result, State
from dnndoctor.rules.shuffling.not_shuffled import not_shuffled
from tests.rules.said import changes, only

CALL, ARGUMENT = Location("train.py", 9), Location("train.py", 10, 5)


def judge(*measured: Any, **thresholds: Any) -> Result:
    return not_shuffled.evaluate({type(each): each for each in measured}, thresholds)


def order(**changes: Any) -> SampleOrder:
    given: dict[str, Any] = {
        "scanned": 256,
        "source": "dataset",
        "classes": 10,
        "same_neighbour": 0.6,
        "expected_same": 0.1,
        "correlation": 0.0,
        "z": 25.0,
        "sorted": False,
        "shuffled": False,
        "location": CALL,
    }
    return SampleOrder(**(given | changes))


def loaders(batch_size: int = 32, iterable: bool = False, argument: Location | None = None) -> Loaders:
    one = Loader(
        CALL, "training", batch_size, "SequentialSampler", True, iterable, 0, False, False, "Data", 1000, argument
    )
    return Loaders((one,), batch_size, 1000)


def test_an_order_that_tells_the_class_is_a_warning() -> None:
    [found] = judge(order(), loaders()).findings
    assert found.severity is Severity.WARNING
    assert found.location == CALL
    assert "60% of neighbouring samples are of the same class, where chance gives 10%" in found.message
    assert found.fix is not None
    assert found.fix.code == "shuffle=True"


def test_sorted_targets_are_an_error() -> None:
    [found] = judge(order(sorted=True, same_neighbour=0.99), loaders()).findings
    assert found.severity is Severity.ERROR
    assert "sorted" in found.message


def test_the_argument_is_the_place_where_there_is_one() -> None:
    [found] = judge(order(), loaders(argument=ARGUMENT)).findings
    assert found.location == ARGUMENT


def test_batches_made_by_hand_get_a_permutation() -> None:
    [found] = judge(order(source="batches"), Loaders((), 32, 1000)).findings
    assert found.fix is not None
    assert "randperm" in str(found.fix.code)


def test_a_stream_gets_a_buffer() -> None:
    [found] = judge(order(source="batches"), loaders(iterable=True)).findings
    assert found.fix is not None
    assert "buffer" in str(found.fix.code)


def test_correlated_numbers_are_found() -> None:
    [found] = judge(order(classes=0, correlation=0.8), loaders()).findings
    assert "correlate by 0.80" in found.message


def test_a_random_order_passes() -> None:
    assert judge(order(same_neighbour=0.11, z=0.5), loaders()).state is State.PASS


@pytest.mark.parametrize(("z", "state"), [(4.0, State.PASS), (4.1, State.FINDING)])
def test_deviations_at_the_threshold(z: float, state: State) -> None:
    assert judge(order(z=z), loaders()).state is state


@pytest.mark.parametrize(
    ("same", "chance", "state"),
    [
        (0.149, 0.1, State.PASS),
        (0.151, 0.1, State.FINDING),
        (0.749, 0.5, State.PASS),
        (0.751, 0.5, State.FINDING),
        (0.93, 0.9, State.PASS),
        (0.96, 0.9, State.FINDING),
        (0.0, 0.1, State.PASS),
    ],
)
def test_excess_at_the_threshold(same: float, chance: float, state: State) -> None:
    assert judge(order(same_neighbour=same, expected_same=chance), loaders()).state is state


@pytest.mark.parametrize(("correlation", "state"), [(0.3, State.PASS), (0.31, State.FINDING), (-0.31, State.FINDING)])
def test_correlation_at_the_threshold(correlation: float, state: State) -> None:
    assert judge(order(classes=0, correlation=correlation), loaders()).state is state


@pytest.mark.parametrize("meant", [{"shuffled": True}, {"recurrent": True}])
def test_shuffled_samples_and_series_are_not_judged(meant: dict[str, Any]) -> None:
    assert judge(order(**meant), loaders()).state is State.NOT_APPLICABLE


def test_the_order_within_one_whole_batch_does_not_matter() -> None:
    assert judge(order(), loaders(batch_size=1000)).state is State.NOT_APPLICABLE


def test_samples_at_the_threshold() -> None:
    assert judge(order(scanned=63), loaders()).state is State.NOT_EXAMINED
    assert judge(order(scanned=64), loaders()).state is State.FINDING


def test_real_and_generated_batches_have_no_order() -> None:
    adversarial = Run("cpu", None, 50, family="gan")
    assert judge(order(source="batches"), adversarial).state is State.NOT_APPLICABLE
    assert judge(order(source="dataset"), adversarial).state is State.FINDING
    assert judge(order(source="batches"), Run("cpu", None, 50)).state is State.FINDING


@pytest.mark.parametrize(("in_order", "safety"), [(True, Safety.SAFE), (False, Safety.UNSAFE)])
def test_the_loader_is_told_to_shuffle(in_order: bool, safety: Safety) -> None:
    change = only(judge(order(sorted=in_order), loaders()))
    assert isinstance(change, SetArgument)
    assert (change.name, change.value, change.at, change.safety) == ("shuffle", "True", CALL, safety)
    assert change.unless == ("sampler", "batch_sampler")
    assert changes(judge(order(), loaders(iterable=True))) == ()
