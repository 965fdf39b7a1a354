import numpy as np
import pytest

from dnndoctor.findings import Location, Severity
from dnndoctor.measurements import Attention, AttentionSite
from dnndoctor.rule import Result, State
from dnndoctor.rules.activation_functions.attention_logits_grow import attention_logits_grow

HERE = Location("train.py", 33)


def site(largest: tuple[float, float], entropy: tuple[float, float] = (0.98, 0.9), steps: int = 8) -> AttentionSite:
    """From one end to the other in equal steps of the logarithm."""
    at = np.arange(steps)
    return AttentionSite("attn", HERE, at, np.geomspace(*largest, steps), np.linspace(*entropy, steps))


def judge(*sites: AttentionSite) -> Result:
    return attention_logits_grow.evaluate({Attention: Attention(sites)})


def test_logits_that_make_a_hard_choice() -> None:
    [found] = judge(site((1.0, 300.0), (0.98, 0.06))).findings
    assert found.severity is Severity.WARNING
    assert found.location == HERE
    assert "within 8 steps the logits of attn grew from 2.3 to 1.3e+02" in found.message


def test_layers_of_one_line_are_one_finding() -> None:
    [found] = judge(site((1.0, 300.0)), site((1.0, 900.0))).findings
    assert "the largest of 2" in found.message


@pytest.mark.parametrize(
    ("largest", "entropy", "expected"),
    [
        ((50.0, 50.0), (0.9, 0.9), State.PASS),
        ((60.0, 60.0), (0.9, 0.9), State.PASS),
        ((5.0, 60.0), (0.9, 0.9), State.PASS),
        ((5.0, 130.0), (0.9, 0.9), State.FINDING),
        ((2.0, 9.0), (0.9, 0.0), State.PASS),
        ((2.0, 9.0), (0.9, -0.1), State.FINDING),
        ((2.0, 9.0), (0.4, -0.1), State.PASS),
    ],
    ids=["at the limit", "large from the start", "below the limit", "grown", "sharp", "collapsed", "sharp by design"],
)
def test_from_where_on(largest: tuple[float, float], entropy: tuple[float, float], expected: State) -> None:
    assert judge(site(largest, entropy)).state is expected


@pytest.mark.parametrize(("steps", "expected"), [(5, State.NOT_EXAMINED), (6, State.FINDING)])
def test_a_short_watch_says_nothing(steps: int, expected: State) -> None:
    assert judge(site((1.0, 1e4), steps=steps)).state is expected


def test_without_attention_there_is_nothing_to_judge() -> None:
    assert judge().state is State.NOT_APPLICABLE
