from __future__ import annotations

from dataclasses import replace

import pytest

from dnndoctor.changes import RemoveArgument, SetArgument
from dnndoctor.findings import Location
from dnndoctor.measurements import Loader, Loaders, Ranks
from dnndoctor.rule import State
from dnndoctor.rules.distributed.same_data_on_every_rank import same_data_on_every_rank
from tests.rules.distributed.sound_ranks import ALONE, SOUND, judged
from tests.rules.said import changes


def test_one_process_is_no_matter_of_this_rule() -> None:
    result = same_data_on_every_rank.evaluate({Ranks: ALONE})
    assert (result.state, result.reason) == (State.NOT_APPLICABLE, "one process trains")


def test_the_same_batch_everywhere_points_at_the_loader() -> None:
    place = Location("train.py", 12)
    loader = Loader(place, "training", 16, "RandomSampler", False, False, 0, False, False, "TensorDataset", 512)
    measured = {Ranks: replace(SOUND, same_batches=40), Loaders: Loaders((loader,), 16, 512)}
    [finding] = same_data_on_every_rank.evaluate(measured).findings
    assert finding.location == place
    assert finding.message == "all 2 ranks were fed with the same batch in each of 40 steps"


@pytest.mark.parametrize("same", [0, 39])
def test_a_batch_that_some_have_in_common_is_chance(same: int) -> None:
    assert judged(same_data_on_every_rank, same_batches=same).state is State.PASS


def test_two_common_batches_are_not_enough_to_say() -> None:
    assert judged(same_data_on_every_rank, batches=2, same_batches=2).state is State.NOT_EXAMINED


def test_parts_of_one_model_take_the_same_batch() -> None:
    assert judged(same_data_on_every_rank, sharded=True, same_batches=40).state is State.NOT_APPLICABLE


@pytest.mark.parametrize(("sequential", "more"), [(False, ""), (True, ", shuffle=False")])
def test_the_loader_gets_a_sampler_that_keeps_its_order(sequential: bool, more: str) -> None:
    place = Location("train.py", 12)
    loader = Loader(place, "training", 16, "RandomSampler", sequential, False, 0, False, False, "TensorDataset", 512)
    measured = {Ranks: replace(SOUND, same_batches=40), Loaders: Loaders((loader,), 16, 512)}
    sampler, shuffle = changes(same_data_on_every_rank.evaluate(measured))
    assert isinstance(sampler, SetArgument)
    assert sampler.value == f"torch.utils.data.DistributedSampler({{0}}{more})"
    assert sampler.unless == ("batch_sampler", "sampler")
    assert isinstance(shuffle, RemoveArgument)
    assert shuffle.name == "shuffle"


def test_ranks_that_exchange_nothing_are_runs_of_their_own() -> None:
    alone = judged(same_data_on_every_rank, wrapped=False, collectives=0, same_batches=40)
    assert (alone.state, alone.reason) == (State.NOT_APPLICABLE, "the ranks exchange nothing")


def test_a_stream_is_shared_out_by_its_own_code() -> None:
    loader = Loader(Location("train.py", 12), "training", 16, "none", False, True, 0, False, False, "Stream", None)
    measured = {Ranks: replace(SOUND, same_batches=40), Loaders: Loaders((loader,), 16, None)}
    result = same_data_on_every_rank.evaluate(measured)
    assert result.state is State.FINDING
    assert changes(result) == ()
