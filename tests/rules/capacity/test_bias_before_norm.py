from dnndoctor.changes import SetArgument
from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import BiasBeforeNorm, Layer, Layers, Wiring
from dnndoctor.rule import Result, State
from dnndoctor.rules.capacity.bias_before_norm import bias_before_norm
from tests.rules.said import changes


def judge(*names: str, affine: int = 3) -> Result:
    biases = tuple(BiasBeforeNorm(name, "bn", Location("train.py", line), 16) for line, name in enumerate(names, 7))
    return bias_before_norm.evaluate({Wiring: Wiring(biases=biases, affine=affine)})


def test_all_layers_are_one_remark_at_the_first() -> None:
    [found] = judge("conv1", "conv2").findings
    assert found.severity is Severity.INFO
    assert found.location == Location("train.py", 7)
    assert found.message.startswith("conv1 and 1 more layers have a bias")
    assert "32 parameters" in found.message


def test_a_single_layer() -> None:
    [found] = judge("conv1").findings
    assert found.message.startswith("conv1 has a bias")


def test_none_passes_and_without_layers_there_is_nothing_to_judge() -> None:
    assert judge().state is State.PASS
    assert judge(affine=0).state is State.NOT_APPLICABLE


def test_every_line_that_builds_such_layers_is_changed() -> None:
    biases = tuple(BiasBeforeNorm(f"conv{at}", "bn", Location("train.py", at), 16) for at in (7, 8))
    measured = {Wiring: Wiring(biases=biases, affine=2), Layers: Layers("Net", ())}
    first, second = changes(bias_before_norm.evaluate(measured))
    assert isinstance(first, SetArgument)
    assert (first.name, first.value, first.at) == ("bias", "False", Location("train.py", 7))
    assert second.at == Location("train.py", 8)


def test_a_line_that_builds_others_too_is_left_to_a_person() -> None:
    other = Layer("head", "linear", "head.weight", Location("train.py", 7), 8, 8, 8, 8)
    biases = (BiasBeforeNorm("conv1", "bn", Location("train.py", 7), 16),)
    measured = {Wiring: Wiring(biases=biases, affine=2), Layers: Layers("Net", (other,))}
    assert changes(bias_before_norm.evaluate(measured)) == ()
