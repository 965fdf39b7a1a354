from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import Finiteness, HalfPlace, HalfPrecision, NonFinite
from dnndoctor.rule import Result, State
from dnndoctor.rules.numerics.half_precision_range import half_precision_range

PLACE = Location("train.py", 12)


def judge(peak: float, vanishing: float, scaled: bool = False, broken: bool = False, entries: float = 5000) -> Result:
    one = HalfPlace("linear", PLACE, "head", peak, entries, vanishing)
    first = NonFinite(3, "forward", "linear", "", "inf", PLACE) if broken else None
    return half_precision_range.evaluate(
        {HalfPrecision: HalfPrecision((one,), scaled), Finiteness: Finiteness(50, first)}
    )


def test_gradients_that_vanish() -> None:
    [found] = judge(5.0, 2500).findings
    assert found.severity is Severity.WARNING
    assert found.location == PLACE
    assert "50%" in found.message


def test_a_scaler_lifts_them() -> None:
    assert judge(5.0, 2500, scaled=True).state is State.PASS


def test_thresholds() -> None:
    assert judge(5.0, 50).state is State.PASS
    assert judge(5.0, 51).state is State.FINDING
    assert judge(5.0, 999, entries=999).state is State.PASS
    assert judge(60000.0, 0).state is State.PASS


def test_magnitudes_near_the_end() -> None:
    [found] = judge(61000.0, 0).findings
    assert "6.1e+04" in found.message
    assert judge(61000.0, 0, broken=True).state is State.PASS


def test_nothing_in_float16() -> None:
    assert half_precision_range.evaluate({HalfPrecision: HalfPrecision(())}).state is State.NOT_APPLICABLE


def test_gradients_of_nothing_but_zeros() -> None:
    one = HalfPlace("linear", PLACE, "head", 5.0, 0.0, 0.0, zeros=5)
    [found] = half_precision_range.evaluate({HalfPrecision: HalfPrecision((one,))}).findings
    assert (found.severity, found.location) == (Severity.ERROR, PLACE)
    for sound in (
        HalfPrecision((one,), scaled=True),
        HalfPrecision((HalfPlace("linear", PLACE, "", 5.0, 0.0, 0.0, 4),)),
    ):
        assert half_precision_range.evaluate({HalfPrecision: sound}).state is State.PASS
