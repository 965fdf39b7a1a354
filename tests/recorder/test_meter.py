"""The cadence over a whole run, with a clock of its own: a shared machine keeps no promise about time."""

from __future__ import annotations

import pytest

from dnndoctor.recorder.meter import GRACE, Cadence, Due, Meter


class Clock:
    now = 0.0

    def perf_counter(self) -> float:
        return self.now


def flown(
    monkeypatch: pytest.MonkeyPatch, overhead: float, step: float, looks: dict[str, float], plumbing: float, steps: int
) -> tuple[Meter, Cadence, list[Due], int]:
    """A run of so many steps of ``step`` seconds, with looks and the plumbing of a recorded step at these costs."""
    clock = Clock()
    meter = Meter()
    monkeypatch.setattr("dnndoctor.recorder.meter.time.perf_counter", clock.perf_counter)
    meter.start()
    cadence, dues = Cadence(meter, overhead), [Due(name) for name in looks]
    asleep = recorded = 0
    for at in range(steps):
        clock.now += step
        meter.steps += 1
        if asleep:
            asleep -= 1
            continue
        recorded += 1
        meter.add("steps", plumbing)
        clock.now += plumbing
        chosen = cadence.choose(dues)
        for due in chosen:
            due.pending = looks[due.name]
            due.note(at)
            meter.add("looks", due.cost)
            clock.now += looks[due.name]
        asleep = 0 if chosen else cadence.skip(plumbing) - 1
    return meter, cadence, dues, recorded


@pytest.mark.parametrize("overhead", [0.002, 0.01, 0.05])
@pytest.mark.parametrize("step", [0.0002, 0.005, 0.2])
def test_the_whole_cost_stays_in_the_budget(monkeypatch: pytest.MonkeyPatch, overhead: float, step: float) -> None:
    looks = {"gradients": 4e-4, "updates 0": 3e-4, "updates 1": 1e-3, "activations 0": 2e-3}
    meter, _, dues, recorded = flown(monkeypatch, overhead, step, looks, 5e-5, 20_000)
    assert meter.spent <= overhead * meter.elapsed + GRACE + sum(looks.values())
    assert all(due.taken >= 1 for due in dues)
    taken = [due.taken for due in dues]
    assert max(taken) - min(taken) <= 1  # none waits for ever, however dear it is
    assert recorded > len(looks)


def test_a_large_budget_looks_at_everything_in_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    _, cadence, dues, recorded = flown(monkeypatch, float("inf"), 0.001, {"a": 0.5, "b": 2.0}, 0.1, 50)
    assert recorded == 50
    assert [due.taken for due in dues] == [50, 50]
    assert cadence.skip(0.1) == 1


def test_small_steps_are_skipped_and_large_ones_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    _, small, _, few = flown(monkeypatch, 0.01, 1e-4, {"a": 1e-3}, 5e-5, 10_000)
    assert few < 1000
    assert small.every > 50
    _, large, _, all_ = flown(monkeypatch, 0.01, 0.1, {"a": 1e-3}, 5e-5, 1000)
    assert all_ == 1000
    assert large.every == large.every_loss == 1


def test_payments_within_payments_count_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    meter = Meter()
    monkeypatch.setattr("dnndoctor.recorder.meter.time.perf_counter", clock.perf_counter)
    clock.now = 1.0
    outer = meter.enter()
    clock.now = 2.0
    inner = meter.enter()
    clock.now = 3.0
    meter.leave(inner, "inner")
    meter.leave(outer, "outer")
    assert meter.seconds == {"outer": 2.0}
