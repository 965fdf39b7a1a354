"""Literal measurements that the rules on ranks are tested with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dnndoctor.measurements import Ranks
from dnndoctor.rule import Result, Rule

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
ALONE = Ranks(world=1)


def judged(rule: Rule, **changes: Any) -> Result:
    """The rule on two sound ranks with these differences."""
    return rule.evaluate({Ranks: replace(SOUND, **changes)})
