import pytest

from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import Directions, DirectionsInUse
from dnndoctor.rule import Result, State
from dnndoctor.rules.capacity.superfluous_units import superfluous_units

HERE = Location("train.py", 14)


def judge(*sites: DirectionsInUse) -> Result:
    return superfluous_units.evaluate({Directions: Directions(sites)})


def site(rank: int, width: int = 512, samples: int = 2048) -> DirectionsInUse:
    return DirectionsInUse("relu", HERE, width, rank, samples)


def test_a_wide_layer_that_uses_little() -> None:
    [found] = judge(site(20), site(12), site(300)).findings
    assert found.severity is Severity.INFO
    assert found.location == HERE
    assert "the 512 units of relu vary in 12 directions only, and 1 more layers are alike" in found.message


@pytest.mark.parametrize(("rank", "expected"), [(51, State.FINDING), (52, State.PASS)])
def test_from_where_on(rank: int, expected: State) -> None:
    assert judge(site(rank)).state is expected


@pytest.mark.parametrize("small", [site(2, width=32), site(2, samples=1000)])
def test_narrow_layers_and_few_samples(small: DirectionsInUse) -> None:
    assert judge(small).state is State.NOT_APPLICABLE


def test_a_short_watch_is_not_examined() -> None:
    assert superfluous_units.evaluate({}).state is State.NOT_EXAMINED
