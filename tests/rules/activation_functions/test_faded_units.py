from __future__ import annotations

import pytest

from dnndoctor.findings import Severity
from dnndoctor.rule import State
from dnndoctor.rules.activation_functions.faded_units import faded_units as rule
from tests.literals import judged
from tests.rules.saved import matrix, row


def test_units_that_faded_since_the_first_checkpoint() -> None:
    [found] = judged(rule, row((matrix(),), (matrix(quiet=0.36),))).findings
    assert (found.severity, found.subject) == (Severity.WARNING, "net.0.weight")
    assert (
        "36% of the 64 units of net.0.weight have weights of next to nothing in 1.pt (step 100), 0% of them in 0.pt"
        in (found.message)
    )


@pytest.mark.parametrize(("share", "severity"), [(0.25, Severity.INFO), (0.5, Severity.WARNING)])
def test_of_one_checkpoint_alone(share: float, severity: Severity) -> None:
    [found] = judged(rule, row((matrix(quiet=share),))).findings
    assert found.severity is severity


def test_pruned_ones_that_were_so_from_the_first_are_only_mentioned() -> None:
    [found] = judged(rule, row((matrix(quiet=0.3),), (matrix(quiet=0.3),))).findings
    assert found.severity is Severity.INFO


def test_near_misses() -> None:
    assert judged(rule, row((matrix(quiet=0.15),))).state is State.PASS  # as filters of sound image models have it
    rows = row((matrix("wte.weight", quiet=0.9), matrix()))  # tokens that never come
    assert judged(rule, rows).state is State.PASS
    assert judged(rule, row((matrix(shape=(16, 64), quiet=0.5),))).state is State.NOT_APPLICABLE
    assert (
        judged(rule, row((matrix(scale=0.0, quiet=None),))).state is State.NOT_APPLICABLE
    )  # a branch that starts at 0
