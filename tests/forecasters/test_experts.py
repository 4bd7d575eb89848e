"""Experts on cases that can be computed by hand, and closed-form leave-one-out against leaving one out."""

from __future__ import annotations

import numpy as np
import pytest
from strategies import SCORE, make

from metalcx.forecasters import Baseline
from metalcx.forecasters import _learners as learners
from metalcx.forecasters import _panel as panel
from metalcx.forecasters._aligned import Aligned, align


def ends(past: list[float], future: list[float], query: float) -> Aligned:
    """Support runs with these values at t = 2 and t = 4, a query last seen at t = 2."""
    t = np.array([1.0, 2, 3, 4])
    support = make(SCORE, [(t, np.array([0, x, (x + z) / 2, z])) for x, z in zip(past, future, strict=True)])
    prefix = make(SCORE, [(t[:2], np.array([0, query]))], ["running"])
    return align(support.padded(), prefix.padded(), np.array([0]), np.array([4.0]))


def wiggly(k: int, queries: int, seed: int = 0) -> Aligned:
    rng = np.random.default_rng(seed)
    t = np.arange(1.0, 21)
    y = np.cumsum(rng.normal(0.1, 0.3, (k + queries, 20)), 1)
    support = make(SCORE, [(t, row) for row in y[:k]]).padded()
    prefix = make(SCORE, [(t[:8], row[:8]) for row in y[k:]], ["running"] * queries).padded()
    return align(support, prefix, np.arange(queries), np.full(queries, 20.0))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("last", 4.0),
        ("best", 4.0),
        ("shift", 4.0 + 3.0),  # gains 2, 3, 10
        ("median", 5.0),
        # x = 1, 2, 3 and z = 3, 5, 13: slope 5, mean 7 at 2.
        ("affine", 7.0 + 5.0 * 2.0),
        # Slopes 2, 5, 8, median 5, shrunk to 1 + 4 * 3/7; median of z - slope x.
        ("theil_sen", (19 / 7) * 4.0 + np.median([3 - 19 / 7, 5 - 38 / 7, 13 - 57 / 7])),
    ],
)
def test_golden(name: str, expected: float) -> None:
    a = ends([1.0, 2.0, 3.0], [3.0, 5.0, 13.0], 4.0)
    np.testing.assert_allclose(panel.EXPERTS[name](a), [[expected]], rtol=1e-12)


@pytest.mark.parametrize("name", ["shift", "affine", "theil_sen", "ridge", "gp", "neighbours"])
def test_a_common_gain_is_found_exactly(name: str) -> None:
    a = ends([1.0, 2.0, 4.0, 7.0], [3.5, 4.5, 6.5, 9.5], 5.0)
    np.testing.assert_allclose(panel.EXPERTS[name](a), [[7.5]], rtol=1e-9)


def test_constant_support_falls_back_to_its_gain() -> None:
    a = ends([2.0] * 5, [3.0] * 5, 9.0)
    for name in ("affine", "theil_sen", "ridge", "gp"):
        np.testing.assert_allclose(panel.EXPERTS[name](a), [[10.0]], err_msg=name)


def test_ridge_leave_one_out_is_leaving_one_out() -> None:
    a = wiggly(9, 3)
    fs, _ = learners._standardised(a)
    gain = (a.future - a.past.last)[0]
    errors = []
    for penalty in learners.RIDGE:
        held = []
        for i in range(a.k):
            x, y = np.delete(fs[0], i, 0), np.delete(gain, i)
            mx, my = x.mean(0), y.mean()
            w = np.linalg.solve((x - mx).T @ (x - mx) + penalty * np.eye(x.shape[1]), (x - mx).T @ (y - my))
            held.append(my + w @ (fs[0, i] - mx))
        errors.append(np.array(held))
    best = min(errors, key=lambda held: ((held - gain) ** 2).sum())
    # The closed form centres once for all runs, so the penalty acts on slightly other columns: exact to the last bit
    # of the algebra, because an intercept takes the centring up.
    np.testing.assert_allclose(panel.held_out(a, ("ridge",))[0, :, 0], a.past.last[0] + best, rtol=1e-8)


def test_gp_leave_one_out_is_leaving_one_out() -> None:
    a = wiggly(8, 2, seed=3)
    fs, _ = learners._standardised(a)
    gain = (a.future - a.past.last)[0]
    mean = np.median(gain)
    square = ((fs[0][:, None] - fs[0]) ** 2).sum(-1)
    candidates = []
    for length, noise in learners.GP_GRID:
        kernel = np.exp(-0.5 * square / length**2) + 0.1 * fs[0] @ fs[0].T
        held = []
        for i in range(a.k):
            rest = np.delete(np.arange(a.k), i)
            weights = np.linalg.solve(kernel[np.ix_(rest, rest)] + noise * np.eye(a.k - 1), gain[rest] - mean)
            held.append(mean + kernel[i, rest] @ weights)
        candidates.append(a.past.last[0] + np.array(held))
    found = panel.held_out(a, ("gp",))[0, :, 0]
    # One of the nine kernels was chosen by evidence; that one's leave-one-out is met exactly.
    assert min(np.abs(found - c).max() for c in candidates) < 1e-9


@pytest.mark.parametrize("name", sorted({*panel.EXPERTS, "med5"} - {"ridge", "gp", "med5"}))
def test_held_out_is_the_expert_on_the_others(name: str) -> None:
    a = wiggly(6, 1, seed=1)
    rest = a.leave_one_out()
    np.testing.assert_array_equal(panel.held_out(a, (name,))[0, :, 0], panel.EXPERTS[name](rest)[:, 0])


@pytest.mark.parametrize("k", [4, 5, 12])
def test_slopes_sorted_once_are_those_of_the_others_with_equal_runs_too(k: int) -> None:
    rng = np.random.default_rng(k)
    for x in (rng.normal(size=k), rng.integers(0, 3, k).astype(float), np.ones(k)):
        a = ends(list(x), list(rng.normal(size=k)), 0.5)
        of_others = panel.EXPERTS["theil_sen"](a.leave_one_out())[:, 0]
        np.testing.assert_array_equal(panel.held_out(a, ("theil_sen",))[0, :, 0], of_others)


def test_med5_is_the_median_of_its_five() -> None:
    a = wiggly(7, 4)
    parts = [panel.EXPERTS[name](a) for name in ("affine", "shift", "theil_sen", "gp", "ridge")]
    np.testing.assert_array_equal(panel.points(a, ("med5",))[..., 0], np.median(parts, 0))


def test_width_is_the_leave_one_out_error() -> None:
    rng = np.random.default_rng(0)
    t = np.arange(1.0, 11)
    y = t * 0.01 + rng.normal(0, 1.0, (60, 1)) + np.where(t == 10, rng.normal(0, 0.5, (60, 1)), 0.0)
    curves = make(SCORE, [(t, row) for row in y])
    fc = Baseline("shift").adapt(curves).forecast(curves.truncate(5), 10.0)
    sigma = (fc.quantile(0.84134) - fc.quantile(0.15866)) / 2
    gains = y[:, 9] - y[:, 4]
    np.testing.assert_allclose(sigma, gains.std(), rtol=0.1)
