"""Windows, stretching and leave-one-out of what forecasters compare."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from strategies import SCORE, make, ragged

from metalcx.curves import PaddedCurves
from metalcx.forecasters._aligned import WINDOWS, align, describe
from metalcx.forecasters._base import Support


def padded(*runs: tuple[list[float], list[float]]) -> PaddedCurves:
    return make(SCORE, [(np.array(t, float), np.array(y, float)) for t, y in runs]).padded()


def by_hand(t: np.ndarray, y: np.ndarray, start: float, end: float) -> np.ndarray:
    """Window means of the piecewise linear curve by the trapezium rule on all its corners."""
    edges = np.linspace(start, end, WINDOWS + 1)
    means = []
    for low, high in itertools.pairwise(edges):
        x = np.unique(np.concatenate([[low, high], t[(t > low) & (t < high)]]))
        f = np.interp(x, t, y)
        means.append(((f[1:] + f[:-1]) / 2 * np.diff(x)).sum() / (high - low))
    return np.array(means)


def test_two_points_make_a_ramp() -> None:
    shapes = describe(padded(([0, 4], [0, 4])), np.array([[4.0]]), np.array([[0.0]]))
    np.testing.assert_allclose(shapes.means[0, 0], np.arange(0.25, 4, 0.5))


@given(ragged())
def test_windows_equal_direct_integration(curves) -> None:  # type: ignore[no-untyped-def]
    p = curves.take(curves.status != "diverged").padded()
    for i in np.flatnonzero(p.length > 1):
        t, y = p.t[i, : p.length[i]], p.y[i, : p.length[i]]
        start, end = t[0] - 0.3 * (t[-1] - t[0]), t[0] + 0.8 * (t[-1] - t[0])
        shapes = describe(p.take([i]), np.array([[end]]), np.array([[start]]))
        scale = np.abs(y).max() + 1e-300
        np.testing.assert_allclose(shapes.means[0, 0] / scale, by_hand(t, y, start, end) / scale, atol=1e-9)
        np.testing.assert_allclose(shapes.last[0, 0], np.interp(end, t, y), rtol=1e-9, atol=1e-12 * scale)


def test_variation_and_best_stop_at_the_cut() -> None:
    shapes = describe(padded(([0, 1, 2, 3], [0, 2, 1, 9])), np.array([[2.5]]), np.array([[0.0]]))
    assert shapes.best[0, 0] == shapes.last[0, 0] == 5.0
    assert shapes.variation[0, 0] == 2 + 1 + 4


def test_a_short_support_run_is_compared_by_progress() -> None:
    # Four runs of length 10 and one censored at 5: its own end stands for t = 10, its 2 for the cut at 4.
    long = (np.arange(11.0), np.arange(11.0))
    short = (np.arange(6.0), 10 * np.arange(6.0))
    support = make(SCORE, [long, long, long, long, short], ["completed"] * 4 + ["censored"]).padded()
    query = padded(([0, 4], [0, 1]))
    a = align(support, query, np.array([0]), np.array([10.0]))
    np.testing.assert_array_equal(a.stretch, [[1, 1, 1, 1, 0.5]])
    np.testing.assert_array_equal(a.past.last, [[4, 4, 4, 4, 20]])
    np.testing.assert_array_equal(a.future, [[10, 10, 10, 10, 50]])


def test_rows_come_back_in_the_order_of_the_request() -> None:
    support = padded(([0, 10], [0, 10]))
    query = padded(([0, 4], [0, 1]), ([0, 5], [0, 2]), ([0, 4], [0, 3]))
    rows, times = np.array([2, 1, 0, 0]), np.array([10.0, 10, 10, 7])
    a = align(support, query, rows, times)
    np.testing.assert_array_equal(a.rows(a.query.last), [3, 2, 1, 1])
    np.testing.assert_array_equal(a.rows(np.broadcast_to(a.t[:, None], a.query.last.shape)), times)


def test_leave_one_out_leaves_exactly_that_run_out() -> None:
    support = padded(*(([0, 10], [i, 10 * i]) for i in range(4)))
    a = align(support, padded(([0, 5], [0, 1])), np.array([0]), np.array([10.0]))
    rest = a.leave_one_out()
    for i in range(4):
        np.testing.assert_array_equal(rest.future[i], np.delete(a.future[0], i))
        np.testing.assert_array_equal(rest.past.means[i], np.delete(a.past.means[0], i, 0))
        assert rest.query.last[i, 0] == a.past.last[0, i]


def test_a_diverged_support_run_ends_at_the_floor() -> None:
    good = (np.array([1.0, 2, 3]), np.array([0.0, 1, 2]))
    bad = (np.array([1.0, 2, 3]), np.array([0.0, -1, np.inf]))
    s = Support.of(make(SCORE, [good, bad], ["completed", "diverged"]))
    # init = median(0, 0) = 0 and best = 2, so the floor is 0 - 3 (2 - 0).
    assert s.floor == -6
    np.testing.assert_array_equal(s.curves.y[1, : s.curves.length[1]], [0, -1, -6])
    np.testing.assert_array_equal(s.curves.t[1, : s.curves.length[1]], [1, 2, 3])
