"""How often a program is examined, with a stand-in for the examination."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from dnndoctor import repeated
from dnndoctor.config import Settings
from dnndoctor.diagnosis import Diagnosis, Outcome
from dnndoctor.subject.program import script
from tests.diagnoses import found, ran

Give = Callable[..., tuple[Diagnosis, list[int]]]


@pytest.fixture
def examined(monkeypatch: pytest.MonkeyPatch) -> Give:
    """The diagnosis when the runs come out so, and the shifts of the seeds that were asked for."""

    def give(*runs: Diagnosis, repeat: int = 3) -> tuple[Diagnosis, list[int]]:
        asked: list[int] = []

        def examine(*_: Any, seed_shift: int, **__: Any) -> Diagnosis:
            asked.append(seed_shift)
            return runs[seed_shift]

        monkeypatch.setattr(repeated, "examine", examine)
        return repeated.examine_repeatedly(script("train.py"), (), Settings(repeat=repeat)), asked

    return give


def stopped(run: Diagnosis) -> Diagnosis:
    return replace(run, target=replace(run.target, outcome=Outcome.PARTLY, reason="interrupted during observe"))


def test_as_many_as_it_takes(examined: Give) -> None:
    sick, sound = ran(found("LRN101")), ran()
    assert examined(sick, sick)[1] == [0, 1]
    made, asked = examined(sick, sound, sick)
    assert asked == [0, 1, 2]
    assert [each.rule for each in made.findings] == ["LRN101"]


def test_what_cannot_be_examined_is_tried_once(examined: Give) -> None:
    hopeless = ran(outcome=Outcome.NOT)
    assert examined(hopeless) == (hopeless, [0])


def test_an_interrupted_run_has_no_vote(examined: Give) -> None:
    first = stopped(ran(found("LRN101")))
    assert examined(first) == (first, [0])
    made, asked = examined(ran(), first)
    assert (asked, made.findings) == ([0, 1], ())
    assert "interrupted: judged by 1 run of 3" in made.run.notes
