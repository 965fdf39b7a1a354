import pytest

from dnndoctor.changes import Rewrite, SetArgument
from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import LayerSettings, NormSetting
from dnndoctor.rule import Result, State
from dnndoctor.rules.capacity.odd_norm_epsilon import odd_norm_epsilon
from tests.rules.said import only, options

HERE = Location("train.py", 14)


def judge(*norms: NormSetting) -> Result:
    return odd_norm_epsilon.evaluate({LayerSettings: LayerSettings(norms)})


def norm(epsilon: float, output_std: float | None, line: int = 14) -> NormSetting:
    return NormSetting("bn1", "BatchNorm2d", Location("train.py", line), epsilon, output_std)


def test_an_epsilon_that_was_meant_as_momentum() -> None:
    [found] = judge(norm(0.8, 0.3)).findings
    assert found.severity is Severity.WARNING
    assert found.location == HERE
    assert "standard deviation of 0.3 instead of 1" in found.message
    assert found.fix is not None
    assert "momentum=0.2" in str(found.fix.code)


@pytest.mark.parametrize(("std", "expected"), [(0.69, State.FINDING), (0.7, State.PASS)])
def test_only_with_a_small_output(std: float, expected: State) -> None:
    assert judge(norm(0.8, std)).state is expected


@pytest.mark.parametrize("epsilon", [1e-12, 1e-5, 1e-3, 1e-2])
def test_usual_epsilons_are_sound_whatever_comes_out(epsilon: float) -> None:
    assert judge(norm(epsilon, 0.1)).state is State.PASS


def test_layers_of_one_line_are_one_finding() -> None:
    [found] = judge(norm(0.8, 0.3), norm(0.8, 0.2)).findings
    assert "the worst of 2" in found.message
    assert len(judge(norm(0.8, 0.3), norm(0.8, 0.2, line=15)).findings) == 2


def test_without_norms_or_outputs_there_is_nothing_to_judge() -> None:
    assert judge().state is State.NOT_APPLICABLE
    assert judge(norm(0.8, None)).state is State.NOT_EXAMINED


def test_an_argument_by_its_place_gets_its_name_and_one_by_name_its_usual_value() -> None:
    [[placed], [named]] = options(only(judge(norm(0.8, 0.3))))
    assert placed == Rewrite("{callee}({0}, momentum=0.2)", of=("BatchNorm2d",), dropping=("1",))
    assert named == SetArgument("eps", "1e-5", position=1, of=("BatchNorm2d",))
