from __future__ import annotations

from dnndoctor.findings import Severity
from dnndoctor.measurements import Penalty
from dnndoctor.rule import State
from dnndoctor.rules.regularization.l1_term_never_zeroes import l1_term_never_zeroes as rule
from tests.literals import HERE, a_parameter, judged, weights_of

MODEL = weights_of(a_parameter(), a_parameter("fc.bias", "bias"))


def test_a_term_over_biases_too_is_told() -> None:
    [found] = judged(rule, Penalty(("fc.weight", "fc.bias"), HERE), MODEL).findings
    assert (found.severity, found.location) == (Severity.INFO, HERE)
    assert "covers 2 parameters, 1 of them biases or norm weights" in found.message


def test_a_term_over_weights_is_sound() -> None:
    assert judged(rule, Penalty(("fc.weight",), HERE), MODEL).state is State.PASS


def test_without_a_term() -> None:
    assert judged(rule, Penalty((), None), MODEL).state is State.NOT_APPLICABLE
