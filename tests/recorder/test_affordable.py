"""How closely the black box looks at steps: as its share of the time allows."""

from __future__ import annotations

import pytest

from dnndoctor.recorder.black_box.affordable import EVERYTHING, INDICES, SAMPLES, STREAMS, Affordable

COSTS = {INDICES: 0.0, STREAMS: 10e-6, SAMPLES: 50e-6, EVERYTHING: 150e-6}  # seconds


def levels(length: float, share: float, monkeypatch: pytest.MonkeyPatch, steps: int = 2000) -> list[int]:
    """Of so many steps of this length in seconds."""
    now = 0.0
    monkeypatch.setattr("time.perf_counter", lambda: now)
    one, found = Affordable(share), []
    for step in range(steps):
        found.append(one.settle(step))
        one.spent += COSTS[found[-1]]
        now += length
    return found


@pytest.mark.parametrize(("length", "level"), [(1.0, EVERYTHING), (0.1, EVERYTHING), (0.03, SAMPLES), (0.005, STREAMS)])
def test_long_steps_are_looked_at_more_closely(length: float, level: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(levels(length, 0.0025, monkeypatch)[10:]) == {level}


def test_short_steps_are_looked_at_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    found = levels(0.0005, 0.0025, monkeypatch)
    assert set(found[10:]) == {INDICES, STREAMS}
    assert sum(COSTS[each] for each in found[10:]) <= 0.0025 * 0.0005 * len(found)


def test_a_budget_without_end_is_spent(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(levels(1e-5, float("inf"), monkeypatch)) == {EVERYTHING}


def test_a_step_is_settled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.perf_counter", lambda: 0.0)
    one = Affordable(1.0)
    assert [one.settle(0), one.settle(0)] == [EVERYTHING, EVERYTHING]


def test_what_costs_nothing_is_always_affordable(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where no batch comes from a loader, and losses are on an accelerator."""
    now = 0.0
    monkeypatch.setattr("time.perf_counter", lambda: now)
    one, found = Affordable(0.0025), []
    for step in range(50):
        found.append(one.settle(step))
        now += 1e-5
    assert set(found[10:]) == {EVERYTHING}
