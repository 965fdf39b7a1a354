from typing import Any

import pytest

from dnndoctor.changes import Rewrite, Safety
from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import Construction, LooseTensors, UnregisteredLayers
from dnndoctor.rule import Result, State
from dnndoctor.rules.learning_method.layers_not_registered import layers_not_registered
from tests.rules.said import only

NAMES = ("Linear#1.weight", "Linear#1.bias", "Linear#2.weight", "Linear#2.bias")


def judge(**changes: Any) -> Result:
    given: dict[str, Any] = {
        "holder": "Net",
        "attribute": "layers",
        "container": "list",
        "location": Location("train.py", 12, 9),
        "layers": ("Linear#1", "Linear#2"),
        "learning": NAMES,
        "left_out": NAMES,
    }
    found = Construction((UnregisteredLayers(**(given | changes)),))
    return layers_not_registered.evaluate({Construction: found})


def test_layers_in_a_list() -> None:
    [found] = judge().findings
    assert found.severity is Severity.ERROR
    assert found.location == Location("train.py", 12, 9)
    assert found.subject == "Net.layers"
    assert "2 layers in a plain list, self.layers" in found.message
    assert found.fix is not None
    assert found.fix.code == "self.layers = nn.ModuleList([...])"


def test_layers_in_a_dict_belong_in_a_module_dict() -> None:
    [found] = judge(container="dict", layers=("Linear",), left_out=NAMES[:1]).findings
    assert "1 layer in a plain dict" in found.message
    assert "nn.ModuleDict" in str(found.fix)


def test_what_the_optimizer_was_given_all_the_same_is_sound() -> None:
    assert judge(left_out=()).state is State.PASS


def test_a_frozen_network_that_is_hidden_on_purpose_is_sound() -> None:
    assert judge(learning=(), left_out=()).state is State.PASS


def test_a_model_without_any_passes() -> None:
    assert layers_not_registered.evaluate({Construction: Construction()}).state is State.PASS


def test_without_a_watched_pass_it_is_not_examined() -> None:
    assert layers_not_registered.evaluate({}).state is State.NOT_EXAMINED


@pytest.mark.parametrize(
    ("container", "better"), [("", "Parameter"), ("list", "ParameterList"), ("dict", "ParameterDict")]
)
def test_a_tensor_that_is_no_parameter(container: str, better: str) -> None:
    loose = LooseTensors("Net", "w", container, Location("train.py", 12, 9), 2)
    [found] = layers_not_registered.evaluate({Construction: Construction(loose=(loose,))}).findings
    assert found.severity is Severity.ERROR
    assert found.location == Location("train.py", 12, 9)
    assert f"nn.{better}" in str(found.fix)


@pytest.mark.parametrize(
    ("container", "better"), [("list", "ModuleList"), ("tuple", "ModuleList"), ("dict", "ModuleDict")]
)
def test_the_container_is_wrapped(container: str, better: str) -> None:
    assert only(judge(container=container)) == Rewrite(f"torch.nn.{better}({{it}})", safety=Safety.SAFE)


def test_a_tensor_becomes_a_parameter() -> None:
    loose = Construction(loose=(LooseTensors("Net", "scale", "", Location("train.py", 12, 9)),))
    change = only(layers_not_registered.evaluate({Construction: loose}))
    assert change == Rewrite("torch.nn.Parameter({it})", safety=Safety.SAFE)
