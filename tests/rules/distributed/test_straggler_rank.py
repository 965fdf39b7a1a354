from __future__ import annotations

import pytest

from dnndoctor.measurements import Ranks
from dnndoctor.rule import State
from dnndoctor.rules.distributed.straggler_rank import straggler_rank
from tests.rules.distributed.sound_ranks import ALONE, judged


def test_one_process_is_no_matter_of_this_rule() -> None:
    result = straggler_rank.evaluate({Ranks: ALONE})
    assert (result.state, result.reason) == (State.NOT_APPLICABLE, "one process trains")


@pytest.mark.parametrize(
    ("own", "found"),
    [((0.010, 0.020), True), ((0.010, 0.0119), False), ((0.010, 0.0121), False), ((0.010, 0.0131), True)],
)
def test_a_straggler_is_slower_and_costs_a_tenth_of_the_step(own: tuple[float, float], found: bool) -> None:
    assert bool(judged(straggler_rank, own_seconds=own).findings) is found


def test_few_steps_say_nothing_of_a_straggler() -> None:
    assert judged(straggler_rank, steps=9, own_seconds=(0.01, 0.09)).state is State.NOT_EXAMINED


def test_the_examined_rank_is_slower_by_being_watched() -> None:
    assert judged(straggler_rank, own_seconds=(0.030, 0.010), examined=0).state is State.PASS


@pytest.mark.parametrize(("share", "found"), [((0.2, 0.8), True), ((0.4, 0.6), False)])
def test_a_straggler_is_slow_in_most_steps(share: tuple[float, float], found: bool) -> None:
    assert bool(judged(straggler_rank, own_seconds=(0.010, 0.020), slowest_share=share).findings) is found


def test_a_fraction_of_a_millisecond_is_no_straggler() -> None:
    assert judged(straggler_rank, own_seconds=(0.0002, 0.0009), step_seconds=0.001).state is State.PASS


def test_a_rank_whose_time_is_not_known_is_no_straggler() -> None:
    assert judged(straggler_rank, own_seconds=(0.01,)).state is State.NOT_EXAMINED


def test_a_share_of_the_step_alone_is_no_straggler() -> None:
    own = {"own_seconds": (0.100, 0.115), "step_seconds": 0.120}
    assert judged(straggler_rank, **own).state is State.PASS
