from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from strategies import SCORE, make, ragged, rows

from metalcx.curves import Curves, PaddedCurves

TIMES = st.lists(st.floats(-10, 140), min_size=1, max_size=9)


@given(parts=st.lists(rows(max_points=9), min_size=1, max_size=4), times=TIMES)
def test_at_is_numpys_interpolation(parts: list, times: list[float]) -> None:
    padded = make(SCORE, parts).padded()
    got = padded.at(np.array(times))
    expected = np.stack([np.interp(times, t, y) for t, y in parts])
    scale = np.abs(padded.y).max()
    assert np.allclose(got, expected, rtol=1e-12, atol=1e-12 * scale)


@given(parts=st.lists(rows(), min_size=1, max_size=4))
def test_at_returns_the_value_itself_at_a_grid_point(parts: list) -> None:
    padded = make(SCORE, parts).padded()
    # Own times for each curve, padding included.
    assert np.array_equal(padded.at(padded.t), padded.y)


@given(curves=ragged(), times=TIMES)
def test_wider_padding_changes_nothing(curves: Curves, times: list[float]) -> None:
    long = make(SCORE, [(np.arange(50.0), np.arange(50.0))])
    narrow = curves.padded()
    wide = Curves.concat([curves, long]).padded().take(np.arange(len(curves)))
    assert wide.t.shape[1] >= 50
    for name in ("first", "last", "t_last", "length", "diverged"):
        assert np.array_equal(getattr(narrow, name), getattr(wide, name), equal_nan=name != "diverged")
    t = np.array(times)
    assert np.array_equal(narrow.at(t), wide.at(t), equal_nan=True)
    assert np.array_equal(narrow.truncate(t[0]).at(t), wide.truncate(t[0]).at(t), equal_nan=True)


def test_values_that_are_not_finite_are_left_out() -> None:
    nan, inf = np.nan, np.inf
    parts = [([1, 2, 3, 4], [nan, 5, nan, 7]), ([1, 2], [3, inf]), ([1], [inf]), ([1, 2], [nan, nan])]
    curves = make(SCORE, parts, ["completed", "diverged", "diverged", "running"])
    padded = curves.padded()
    assert padded.length.tolist() == [2, 1, 0, 0]
    assert padded.diverged.tolist() == [False, True, True, False]
    assert padded.t[0].tolist() == [2, 4]
    assert padded.y[1].tolist() == [3, 3]
    assert np.isnan(padded.y[2:]).all()
    assert padded.mask.tolist() == [[True, True], [True, False], [False, False], [False, False]]
    assert np.isnan(padded.at(np.array([1.5]))[2:]).all()


def test_no_curves_and_no_points() -> None:
    empty = make(SCORE, []).padded()
    assert len(empty) == 0
    assert empty.at(np.array([1.0, 2.0])).shape == (0, 2)
    nothing = make(SCORE, [([], []), ([1.0], [2.0])]).padded()
    assert nothing.length.tolist() == [0, 1]
    assert np.isnan(nothing.last[0])


def test_truncate_keeps_the_first_point_and_forgets_a_later_divergence() -> None:
    padded = make(SCORE, [([1, 2, 3], [4, 5, np.inf]), ([5, 6], [1, 2])], ["diverged", "completed"]).padded()
    cut = padded.truncate(1.5)
    assert isinstance(cut, PaddedCurves)
    assert cut.length.tolist() == [1, 1]
    assert cut.last.tolist() == [4, 1]
    assert cut.diverged.tolist() == [False, False]
    own = padded.truncate([2.0, 6.0])
    assert own.length.tolist() == [2, 2]
    assert own.diverged.tolist() == [True, False]
