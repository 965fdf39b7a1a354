from typing import Any

from dnndoctor.changes import RemoveArgument
from dnndoctor.findings import Severity
from dnndoctor.measurements import LossInputs
from dnndoctor.rule import Result, State
from dnndoctor.rules.loss.ignored_targets import ignored_targets
from tests.rules.loss.fed import BUILT, fed, inputs
from tests.rules.said import changes


def judge(
    index: int | None,
    share: float,
    classes: int = 10,
    samples: int = 32,
    target: tuple[int, ...] | None = None,
    **facts: Any,
) -> Result:
    one = fed(
        facts.pop("function", "cross_entropy"),
        (samples, classes),
        target or (samples,),
        **{"ignore_index": index, "ignored_share": share, "rows": 200, **facts},
    )
    return ignored_targets.evaluate({LossInputs: inputs(one)})


def test_a_class_that_is_ignored() -> None:
    [found] = judge(0, 0.4).findings
    assert found.severity is Severity.WARNING
    assert found.location == BUILT
    assert "40%" in found.message


def test_one_of_two_classes_is_an_error() -> None:
    assert judge(0, 0.5, classes=2).findings[0].severity is Severity.ERROR


def test_what_passes() -> None:
    assert judge(0, 0.05).state is State.PASS  # half of what a class of ten has on average
    assert judge(-100, 0.9).state is State.PASS
    assert judge(0, 0.6, samples=320).state is State.PASS  # tokens, 10 per sample of the batch
    assert judge(0, 0.6, target=(32, 7)).state is State.PASS


def test_not_applicable_and_not_examined() -> None:
    assert judge(None, 0.0, function="mse_loss").state is State.NOT_APPLICABLE
    assert judge(0, 0.5, rows=19).state is State.NOT_EXAMINED


def test_a_criterion_of_its_own_loses_the_argument() -> None:
    assert changes(judge(0, 0.4)) == (RemoveArgument("ignore_index"),)


def test_a_criterion_of_several_heads_is_left_to_a_person() -> None:
    one = fed("cross_entropy", (32, 10), (32,), ignore_index=0, ignored_share=0.4, rows=200)
    other = fed("cross_entropy", (32, 4), (32,), rows=200)
    assert changes(ignored_targets.evaluate({LossInputs: inputs(one, other)})) == ()
