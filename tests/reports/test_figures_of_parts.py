"""Ranks and hand-written gradients: any figures can be drawn, and the caption says what they come to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnndoctor.measurements import CustomGradients, Ranks
from dnndoctor.measurements.custom_gradients import CustomGradient
from dnndoctor.reports.html.figures import custom_gradients, ranks

SECONDS = st.floats(0, 1e6, allow_nan=False)


@given(st.lists(SECONDS, min_size=2, max_size=6), st.integers(0, 5))
def test_any_ranks_can_be_drawn(own: list[float], examined: int) -> None:
    measured = Ranks(len(own), own_seconds=tuple(own), examined=min(examined, len(own) - 1))
    figure = ranks.draw({Ranks: measured}, frozenset())
    assert figure is not None
    assert "nan" not in figure.svg
    assert len(figure.rows) == len(own)


def test_the_slowest_of_those_that_nobody_slows_is_named() -> None:
    figure = ranks.draw({Ranks: Ranks(3, own_seconds=(0.9, 0.01, 0.03), examined=0)}, frozenset())
    assert figure is not None
    assert figure.caption == "Rank 2 takes 30 ms of its own per step, 3 times the fastest."


def test_one_process_has_no_figure() -> None:
    assert ranks.draw({Ranks: Ranks(1, own_seconds=(0.1,))}, frozenset()) is None


FINITE = st.floats(-1e6, 1e6, allow_nan=False)


@given(FINITE, st.none() | FINITE.map(abs), st.integers(0, 9))
def test_any_gradients_can_be_drawn(ratio: float, spread: float | None, wrong: int) -> None:
    one = CustomGradient("Clip", None, compared=9, sloped=9, wrong=wrong, ratio=ratio, spread=spread)
    figure = custom_gradients.draw({CustomGradients: CustomGradients((one,))}, frozenset())
    assert figure is not None
    assert "nan" not in figure.svg


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (0, "Every backward pass gives the slope of its function."),
        (4, "The backward pass of Clip gives 2 times the slope, and another gradient in 4 of 8 entries."),
    ],
)
def test_the_caption_names_the_wrong_one(wrong: int, says: str) -> None:
    one = CustomGradient("Clip", None, compared=8, sloped=8, wrong=wrong, ratio=2.0, spread=0.1)
    figure = custom_gradients.draw({CustomGradients: CustomGradients((one,))}, frozenset())
    assert figure is not None
    assert figure.caption == says
