"""Points as text: every figure comes back as it was."""

from __future__ import annotations

import sqlite3

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dnndoctor.recording.points import MOST, decoded, encoded, stretches, summary

SHAPES = st.tuples(st.integers(1, 20), st.sampled_from([3, 4]))


def _points(drawn: np.ndarray) -> np.ndarray:
    drawn[:, 0] = np.arange(len(drawn))
    return drawn


@given(arrays(np.float64, SHAPES, elements=st.floats(allow_nan=True, allow_infinity=True)).map(_points))
def test_what_is_encoded_is_decoded(points: np.ndarray) -> None:
    np.testing.assert_array_equal(decoded(encoded(points)), points)


@given(st.text(max_size=40))
def test_what_is_no_text_of_points_is_refused(text: str) -> None:
    try:
        found = decoded(text)
    except (ValueError, TypeError):
        return
    assert found.ndim == 2


def test_sqlite_unpacks_it() -> None:
    points = np.asarray([[0.0, 1.5, np.nan], [1.0, np.inf, 2.0], [2.0, np.nan, -np.inf]])
    query = "SELECT json_extract(value, '$[1]'), json_extract(value, '$[2]') FROM json_each(?)"
    rows = sqlite3.connect(":memory:").execute(query, (encoded(points),)).fetchall()
    assert rows == [(1.5, None), (float("inf"), 2.0), (None, float("-inf"))]


def test_a_long_series_is_split_into_rows_that_tell_what_they_hold() -> None:
    points = np.stack([np.arange(2.5 * MOST), np.arange(2.5 * MOST) * 2, np.zeros(int(2.5 * MOST))], axis=1)
    points[5, 1] = np.nan
    rows = list(stretches(3, points))
    assert [each["kept"] for each in rows] == [MOST, MOST, MOST // 2]
    assert (rows[0]["first"], rows[0]["last"], rows[1]["first"]) == (0, MOST - 1, MOST)
    assert (rows[0]["low"], rows[0]["high"], rows[0]["non_finite"]) == (0, 2 * (MOST - 1), 1)
    np.testing.assert_array_equal(np.concatenate([decoded(each["points"]) for each in rows]), points)


def test_nothing_finite_has_no_level() -> None:
    told = summary(np.asarray([[4.0, np.nan, 0.0]]))
    assert (told["low"], told["mean"], told["high"], told["non_finite"]) == (None, None, None, 1)
