from typing import Any

import pytest

from dnndoctor.changes import Rewrite
from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import LayerSettings, RecurrentSetting
from dnndoctor.rule import Result, State
from dnndoctor.rules.capacity.last_step_of_bidirectional import last_step_of_bidirectional
from tests.rules.said import changes, only


def judge(**changes: Any) -> Result:
    given: dict[str, Any] = {
        "name": "lstm",
        "kind": "LSTM",
        "location": Location("train.py", 9),
        "layers": 1,
        "bidirectional": True,
        "still": "reverse",
        "steps": 50,
        "read_at": Location("train.py", 14),
    }
    return last_step_of_bidirectional.evaluate(
        {LayerSettings: LayerSettings((), (RecurrentSetting(**given | changes),))}
    )


def test_the_last_position_of_both_directions() -> None:
    [found] = judge().findings
    assert found.severity is Severity.WARNING
    assert found.location == Location("train.py", 14)
    assert "the reverse direction of lstm had no recurrent gradient in 50 steps" in found.message
    assert "h[-2], h[-1]" in str(found.fix)


def test_the_first_position_leaves_the_forward_direction_idle() -> None:
    [found] = judge(still="forward", read_at=None).findings
    assert "at the first position" in found.message
    assert found.location == Location("train.py", 9)


@pytest.mark.parametrize(("steps", "expected"), [(2, State.NOT_EXAMINED), (3, State.FINDING)])
def test_a_few_steps_are_needed(steps: int, expected: State) -> None:
    assert judge(steps=steps).state is expected


def test_both_directions_learn() -> None:
    assert judge(still=None).state is State.PASS


def test_one_direction_only() -> None:
    assert judge(bidirectional=False, still=None).state is State.NOT_APPLICABLE


@pytest.mark.parametrize(
    ("batch_first", "code"),
    [
        (True, "torch.cat([{0}[:, -1, :24], {0}[:, 0, 24:]], dim=-1)"),
        (False, "torch.cat([{0}[-1, :, :24], {0}[0, :, 24:]], dim=-1)"),
    ],
)
def test_both_directions_are_read_at_their_end(batch_first: bool, code: str) -> None:
    change = only(judge(batch_first=batch_first, hidden_size=24))
    assert change == Rewrite(code, at=Location("train.py", 14), of=("[]",), dropping=("1",))
    assert changes(judge()) == ()
