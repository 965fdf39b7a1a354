from __future__ import annotations

from typing import Any

import pytest

from dnndoctor.measurements import Ranks
from dnndoctor.rule import State
from dnndoctor.rules.distributed.replicas_differ import replicas_differ
from tests.rules.distributed.sound_ranks import ALONE, APART, judged


def test_one_process_is_no_matter_of_this_rule() -> None:
    result = replicas_differ.evaluate({Ranks: ALONE})
    assert (result.state, result.reason) == (State.NOT_APPLICABLE, "one process trains")


def test_ranks_in_step_are_sound() -> None:
    assert judged(replicas_differ).state is State.PASS


@pytest.mark.parametrize("kept", [{"wrapped": True}, {"wrapped": False, "collectives": 40}])
def test_replicas_that_began_apart(kept: dict[str, Any]) -> None:
    [finding] = judged(replicas_differ, differing=("0.weight",), first_difference=-1, **kept).findings
    assert finding.message == "1 of 4 parameters differ between 2 ranks before the first step: 0.weight"


@pytest.mark.parametrize("kept", [{"sharded": True}, {"wrapped": False}])
def test_shards_and_strangers_are_no_replicas(kept: dict[str, Any]) -> None:
    assert judged(replicas_differ, **{**APART, **kept}).state is State.NOT_APPLICABLE


def test_ranks_are_compared_after_a_step_at_least() -> None:
    assert judged(replicas_differ, compared_steps=1, **APART).state is State.NOT_EXAMINED
