from __future__ import annotations

from typing import Any

import pytest

from dnndoctor.measurements import Ranks
from dnndoctor.rule import State
from dnndoctor.rules.distributed.ranks_not_synchronised import ranks_not_synchronised
from tests.rules.distributed.sound_ranks import ALONE, APART, judged


def test_one_process_is_no_matter_of_this_rule() -> None:
    result = ranks_not_synchronised.evaluate({Ranks: ALONE})
    assert (result.state, result.reason) == (State.NOT_APPLICABLE, "one process trains")


def test_ranks_that_part_without_any_exchange() -> None:
    [finding] = judged(ranks_not_synchronised, wrapped=False, **APART).findings
    assert finding.message == "2 ranks train without exchanging anything: 2 of 4 parameters differ after step 0"


@pytest.mark.parametrize(
    "kept", [{"wrapped": True}, {"collectives": 3}, {"sharded": True}, {"started_equal": False}, {"differing": ()}]
)
def test_no_word_of_ranks_that_exchange_or_began_apart(kept: dict[str, Any]) -> None:
    assert not judged(ranks_not_synchronised, **{"wrapped": False, **APART, **kept}).findings


def test_ranks_are_compared_after_a_step_at_least() -> None:
    result = judged(ranks_not_synchronised, wrapped=False, compared_steps=1, **APART)
    assert result.state is State.NOT_EXAMINED
