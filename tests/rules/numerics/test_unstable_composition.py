import pytest

from dnndoctor.changes import Rewrite
from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import Domain, Domains, Finiteness, NonFinite
from dnndoctor.rule import Result, State
from dnndoctor.rules.numerics.unstable_composition import unstable_composition
from tests.rules.said import changes, only, options

PLACE = Location("train.py", 12)


def judge(operation: str, least: float, largest: float, dtype: str = "float32", broken: bool = False) -> Result:
    first = NonFinite(3, "forward", operation, "", "inf", PLACE) if broken else None
    one = Domain(operation, PLACE, "", dtype, least, largest)
    return unstable_composition.evaluate({Domains: Domains((one,)), Finiteness: Finiteness(50, first)})


@pytest.mark.parametrize(
    ("operation", "least", "largest"),
    [("exp", 0.1, 85.0), ("log", 1e-33, 1.0), ("sqrt", 1e-16, 1.0), ("div", 1e-35, 1.0)],
)
def test_next_to_the_end(operation: str, least: float, largest: float) -> None:
    [found] = judge(operation, least, largest).findings
    assert found.severity is Severity.WARNING
    assert found.location == PLACE


@pytest.mark.parametrize(
    ("operation", "least", "largest"),
    [("exp", 0.0, 80.0), ("log", 1e-12, 1.0), ("sqrt", 1e-12, 1.0), ("div", 1e-12, 9.0), ("div", 0.0, 9.0)],
)
def test_an_epsilon_keeps_it_away(operation: str, least: float, largest: float) -> None:
    assert judge(operation, least, largest).state is State.PASS


def test_half_precision_overflows_sooner() -> None:
    assert judge("exp", 0.1, 10.5, "float16").state is State.FINDING


def test_what_became_non_finite_is_reported_by_itself() -> None:
    assert judge("log", 1e-33, 1.0, broken=True).state is State.NOT_APPLICABLE
    assert unstable_composition.evaluate({Domains: Domains(())}).state is State.NOT_APPLICABLE


def test_an_epsilon_is_put_in_front() -> None:
    change = only(judge("log", 1e-33, 1.0))
    assert change == Rewrite("{it} + 1e-8", argument=0, of=("log",), method=True)
    [[sign], _] = options(only(judge("div", 1e-35, 1.0)))
    assert sign == Rewrite("{it} + 1e-8", argument=1, of=("/",), method=True)
    assert changes(judge("exp", 0.1, 85.0)) == ()
