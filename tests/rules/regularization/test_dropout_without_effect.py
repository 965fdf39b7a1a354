from typing import Any

import pytest

from dnndoctor.changes import RemoveArgument, Rename, Rewrite, Safety
from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import DropoutSetting, LayerSettings, RecurrentSetting, Wiring
from dnndoctor.rule import Result, State
from dnndoctor.rules.regularization.dropout_without_effect import dropout_without_effect
from tests.rules.regularization.dropouts import BUILT, CALLED, dropout
from tests.rules.said import only, options

HERE = Location("train.py", 9)


def judge(settings: LayerSettings, *dropouts: dict[str, Any]) -> Result:
    used = tuple(dropout(**each) for each in dropouts)
    return dropout_without_effect.evaluate({LayerSettings: settings, Wiring: Wiring(dropouts=used)})


def recurrent(layers: int, rate: float = 0.3) -> LayerSettings:
    return LayerSettings(recurrent=(RecurrentSetting("rnn", "GRU", HERE, layers, rate),))


def test_a_recurrent_layer_of_one_level() -> None:
    [found] = judge(recurrent(1)).findings
    assert found.severity is Severity.WARNING
    assert found.location == HERE
    assert "dropout=0.3" in found.message


@pytest.mark.parametrize(("layers", "rate", "expected"), [(2, 0.3, State.PASS), (1, 0.0, State.NOT_APPLICABLE)])
def test_stacked_layers_or_no_rate_are_sound(layers: int, rate: float, expected: State) -> None:
    assert judge(recurrent(layers, rate)).state is expected


def test_a_result_that_is_thrown_away() -> None:
    [found] = judge(LayerSettings(), {"ignored": True}).findings
    assert found.severity is Severity.WARNING
    assert found.location == CALLED


@pytest.mark.parametrize(
    ("function", "shape", "expected"),
    [
        ("dropout1d", (32, 64), [Severity.WARNING]),
        ("dropout1d", (32, 16, 8), []),
        ("dropout2d", (32, 64), [Severity.INFO]),
        ("dropout2d", (32, 16, 8, 8), []),
        ("dropout", (32, 64), []),
    ],
)
def test_a_dropout_of_channels_wants_channels(function: str, shape: tuple[int, ...], expected: list[Severity]) -> None:
    found = judge(LayerSettings(), {"function": function, "shape": shape}).findings
    assert [each.severity for each in found] == expected
    assert all(each.location == BUILT for each in found)


@pytest.mark.parametrize(("called", "p", "count"), [(False, 0.5, 1), (True, 0.5, 0), (False, 0.0, 0)])
def test_a_dropout_that_no_pass_calls(called: bool, p: float, count: int) -> None:
    settings = LayerSettings(dropouts=(DropoutSetting("drop", "Dropout", HERE, p, called),))
    found = judge(settings).findings
    assert len(found) == count
    assert all(each.severity is Severity.INFO for each in found)


def test_without_dropout_there_is_nothing_to_judge() -> None:
    assert judge(LayerSettings()).state is State.NOT_APPLICABLE


def test_what_never_acted_goes_and_a_result_is_kept() -> None:
    assert only(judge(recurrent(1))) == RemoveArgument("dropout", of=("GRU",), safety=Safety.SAFE)
    assert only(judge(LayerSettings(), {"ignored": True})) == Rewrite("{0} = {it}")
    flat = judge(LayerSettings(), {"function": "dropout2d", "shape": (16, 8)})
    assert options(only(flat))[0][0] == Rename("Dropout", of=("Dropout1d", "Dropout2d"))
