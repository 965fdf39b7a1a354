"""The four rules on ranks, on literal measurements."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dnndoctor.findings import Location
from dnndoctor.measurements import Loader, Loaders, Ranks
from dnndoctor.rule import Result, Rule, State
from dnndoctor.rules.distributed.ranks_not_synchronised import ranks_not_synchronised
from dnndoctor.rules.distributed.replicas_differ import replicas_differ
from dnndoctor.rules.distributed.same_data_on_every_rank import same_data_on_every_rank
from dnndoctor.rules.distributed.straggler_rank import straggler_rank

SOUND = Ranks(
    world=2,
    wrapped=True,
    steps=40,
    compared_steps=9,
    parameters=4,
    batches=40,
    same_batches=0,
    own_seconds=(0.010, 0.011),
    step_seconds=0.030,
)
APART: dict[str, Any] = {"differing": ("0.weight", "0.bias"), "first_difference": 0}
RULES = (ranks_not_synchronised, replicas_differ, same_data_on_every_rank, straggler_rank)


def judged(rule: Rule, **changes: Any) -> Result:
    return rule.evaluate({Ranks: replace(SOUND, **changes)})


@pytest.mark.parametrize("rule", RULES)
def test_one_process_is_no_matter_of_these_rules(rule: Rule) -> None:
    result = rule.evaluate({Ranks: Ranks(world=1)})
    assert (result.state, result.reason) == (State.NOT_APPLICABLE, "one process trains")


@pytest.mark.parametrize("rule", RULES)
def test_ranks_in_step_on_data_of_their_own_are_sound(rule: Rule) -> None:
    assert judged(rule).state is State.PASS if rule is not ranks_not_synchronised else not judged(rule).findings


def test_ranks_that_part_without_any_exchange() -> None:
    [finding] = judged(ranks_not_synchronised, wrapped=False, **APART).findings
    assert finding.message == "2 ranks train without exchanging anything: 2 of 4 parameters differ after step 0"
    assert judged(replicas_differ, wrapped=False, **APART).state is State.NOT_APPLICABLE


@pytest.mark.parametrize(
    "kept", [{"wrapped": True}, {"collectives": 3}, {"sharded": True}, {"started_equal": False}, {"differing": ()}]
)
def test_no_word_of_ranks_that_exchange_or_began_apart(kept: dict[str, Any]) -> None:
    assert not judged(ranks_not_synchronised, **{"wrapped": False, **APART, **kept}).findings


def test_ranks_are_compared_after_a_step_at_least() -> None:
    result = judged(ranks_not_synchronised, wrapped=False, compared_steps=1, **APART)
    assert result.state is State.NOT_EXAMINED


@pytest.mark.parametrize("kept", [{"wrapped": True}, {"wrapped": False, "collectives": 40}])
def test_replicas_that_began_apart(kept: dict[str, Any]) -> None:
    [finding] = judged(replicas_differ, differing=("0.weight",), first_difference=-1, **kept).findings
    assert finding.message == "1 of 4 parameters differ between 2 ranks before the first step: 0.weight"


def test_shards_are_no_replicas() -> None:
    assert judged(replicas_differ, sharded=True, **APART).state is State.NOT_APPLICABLE
    assert judged(same_data_on_every_rank, sharded=True, same_batches=40).state is State.NOT_APPLICABLE


def test_the_same_batch_everywhere_points_at_the_loader() -> None:
    place = Location("train.py", 12)
    loader = Loader(place, "training", 16, "RandomSampler", False, False, 0, False, False, "TensorDataset", 512)
    found = same_data_on_every_rank.evaluate(
        {Ranks: replace(SOUND, same_batches=40), Loaders: Loaders((loader,), 16, 512)}
    )
    [finding] = found.findings
    assert finding.location == place
    assert finding.message == "all 2 ranks were fed with the same batch in each of 40 steps"


@pytest.mark.parametrize("same", [0, 39])
def test_a_batch_that_some_have_in_common_is_chance(same: int) -> None:
    assert judged(same_data_on_every_rank, same_batches=same).state is State.PASS


def test_two_common_batches_are_not_enough_to_say() -> None:
    assert judged(same_data_on_every_rank, batches=2, same_batches=2).state is State.NOT_EXAMINED


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
