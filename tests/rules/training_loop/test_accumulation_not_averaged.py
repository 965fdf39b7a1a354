from dnndoctor.changes import Rewrite
from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import Accumulation, Clearing, Clearings, Optimizer, Optimizers, Run
from dnndoctor.rule import Result, State
from dnndoctor.rules.training_loop.accumulation_not_averaged import accumulation_not_averaged
from tests.rules.said import only

LOSS = Location("train.py", 30)


def judge(
    averageable: int, rescaled: int = 0, steps: int = 10, optimizer: str = "SGD", family: str = "supervised"
) -> Result:
    return accumulation_not_averaged.evaluate(
        {
            Accumulation: Accumulation(steps, 4, averageable, rescaled, LOSS),
            Optimizers: Optimizers((Optimizer(optimizer, None, (0.1,), 0.1, steps=50),)),
            Run: Run("cpu", None, 50, family=family),
        }
    )


def test_a_sum_of_means() -> None:
    [found] = judge(10).findings
    assert found.severity is Severity.WARNING
    assert found.location == LOSS
    assert "4 batches" in found.message


def test_adam_undoes_the_factor() -> None:
    assert judge(10, optimizer="AdamW").findings[0].severity is Severity.INFO


def test_at_the_share() -> None:
    assert judge(8).state is State.FINDING
    assert judge(7).state is State.PASS


def test_divided_losses_and_rescaled_gradients_pass() -> None:
    assert judge(0).state is State.PASS
    assert judge(10, rescaled=10).state is State.PASS


def test_one_pass_per_step_and_families() -> None:
    assert judge(0, steps=2).state is State.NOT_APPLICABLE
    assert judge(10, family="gan").state is State.NOT_APPLICABLE


def test_the_loss_is_divided_where_backward_is_called() -> None:
    backward = Location("train.py", 31, 9)
    measured = {
        Accumulation: Accumulation(10, 4, 10, 0, LOSS),
        Clearings: Clearings((Clearing("SGD", 10, 0, 0, 4, backward_location=backward),)),
    }
    change = only(accumulation_not_averaged.evaluate(measured))
    assert change == Rewrite("({0} / 4).backward()", at=backward, of=("backward",), method=True)
