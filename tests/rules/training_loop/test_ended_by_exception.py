from __future__ import annotations

import pytest

from dnndoctor.findings import Location, Severity
from dnndoctor.rule import State
from dnndoctor.rules.training_loop.ended_by_exception import ended_by_exception as rule
from tests.literals import judged
from tests.runs import a_course, a_curve, falling

END = Location("train.log", 900)


@pytest.mark.parametrize(
    ("exception", "message", "said"),
    [
        ("torch.OutOfMemoryError", "CUDA out of memory. Tried to allocate 2.00 GiB.", "smaller batch"),
        ("RuntimeError", "CUDA error: device-side assert triggered", "class indices"),
        ("OSError", "[Errno 28] No space left on device", "free the disk"),
        ("KeyError", "'label'", "mend the line"),
    ],
)
def test_what_ended_the_run_and_what_to_do(exception: str, message: str, said: str) -> None:
    course = a_course(a_curve("loss", falling()), exception=exception, exception_message=message, exception_place=END)
    [found] = judged(rule, course).findings
    assert found.severity is Severity.ERROR
    assert found.location == END
    assert found.message.startswith(f"the program ended with {exception}: {message[:20]}")
    assert found.fix is not None
    assert said in found.fix.summary


def test_a_run_that_was_stopped_by_hand_is_no_error() -> None:
    [found] = judged(rule, a_course(a_curve("loss", falling()), exception="KeyboardInterrupt")).findings
    assert found.severity is Severity.INFO


def test_none_and_one_that_training_went_on_after() -> None:
    loss = a_curve("loss", falling())
    assert judged(rule, a_course(loss)).state is State.NOT_APPLICABLE
    caught = a_course(loss, exception="ValueError", exception_place=Location("metrics.csv", 100))
    assert judged(rule, caught).state is State.NOT_APPLICABLE
