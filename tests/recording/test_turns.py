from __future__ import annotations

import numpy as np
import pytest

from dnndoctor.recording.turns import moved, turns
from tests.runs import a_curve, falling


@pytest.mark.parametrize("points", [30, 100, 1000, 20_000])
@pytest.mark.parametrize("seed", range(5))
def test_a_noisy_loss_that_falls_has_no_turn(points: int, seed: int) -> None:
    assert turns(a_curve("loss", falling(points, 0.1, seed))) == ()


@pytest.mark.parametrize("points", [40, 400, 4000])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_jump_that_lasts_is_found_at_its_step(points: int, share: float) -> None:
    loss, at = falling(points), int(share * points)
    loss[at:] += 1.5
    [turn] = turns(a_curve("loss", loss))
    assert turn.kind == "risen"
    assert abs(turn.step - at) <= 0.01 * points


def test_a_slow_rise_begins_where_the_loss_left_its_best() -> None:
    loss = falling(1000)
    loss[600:] += np.linspace(0, 2.0, 400)
    [turn] = turns(a_curve("loss", loss))
    assert turn.kind == "risen"
    assert abs(turn.step - 600) <= 50


def test_a_jump_that_comes_back_is_told_apart() -> None:
    loss = falling(1000)
    loss[500:520] += 5.0
    [turn] = turns(a_curve("loss", loss))
    assert (turn.kind, turn.step, turn.last) == ("jump", 500, 519)


def test_from_where_on_it_is_nan_and_where_it_only_was_for_a_point() -> None:
    loss = falling(400)
    loss[100], loss[300:] = np.nan, np.nan
    single, lasting = turns(a_curve("loss", loss))
    assert (single.kind, single.step) == ("jump", 100)
    assert (lasting.kind, lasting.step) == ("non-finite", 300)


@pytest.mark.parametrize("loss", [[], [1.0], [np.nan] * 5, [1.0, 0.5, np.inf]])
def test_short_and_broken_ones_are_borne(loss: list[float]) -> None:
    assert all(each.kind == "non-finite" for each in turns(a_curve("loss", loss)))


def test_what_moved_is_told_in_its_order() -> None:
    loss = falling(400)
    loss[200:] += 2.0
    norm, rate = np.full(400, 1.0), np.full(400, 0.1)
    norm[195:], rate[190:] = 30.0, 1.0
    curves = (a_curve("loss", loss), a_curve("gradient norm", norm), a_curve("learning rate", rate))
    [turn] = turns(curves[0])
    assert [(each.role, each.step) for each in moved(curves, turn, curves[0])] == [
        ("learning rate", 190),
        ("gradient norm", 195),
    ]


@pytest.mark.parametrize("end", [3, 5, 8])
def test_low_points_at_the_end_are_no_level_that_was_left(end: int) -> None:
    """A flat, noisy loss that happens to end low: the whole run would seem to lie above its end."""
    noise = np.random.default_rng(4)
    value = 2.3 + 0.05 * noise.standard_normal(2000)
    value[-end:] = 2.15 + 0.01 * np.arange(end)
    assert not any(each.kind == "risen" for each in turns(a_curve("loss", value)))
