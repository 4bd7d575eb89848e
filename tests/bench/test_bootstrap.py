"""Gains and their intervals."""

from __future__ import annotations

import numpy as np
import pytest

from metalcx.bench import gain
from metalcx.bench._bootstrap import mean


def test_golden() -> None:
    """Errors 1 and 1 against 2 and 8: the logarithms' mean is log(1/4), so three quarters are gained."""
    found = gain(np.array([1.0, 1.0]), np.array([2.0, 8.0]), ["a", "b"])
    assert found.value == pytest.approx(0.75, abs=1e-5)
    # Both drawn alike are the outer ends.
    for low, high in (found.tasks, found.families):
        assert (low, high) == pytest.approx((0.5, 0.875), abs=1e-5)


def test_an_equal_gain_everywhere_is_sure() -> None:
    b = np.array([0.3, 1.0, 7.0, 0.01])
    found = gain(0.8 * b, b, list("aabc"))
    assert found.value == pytest.approx(0.2, abs=1e-4)
    assert found.tasks == pytest.approx((0.2, 0.2), abs=1e-3)
    assert found.families == pytest.approx((0.2, 0.2), abs=1e-3)


def test_losses_are_negative_gains() -> None:
    found = gain(np.array([2.0, 2.0]), np.array([1.0, 1.0]), ["a", "b"])
    assert found.value == pytest.approx(-1.0, abs=1e-4)
    assert found.tasks[0] <= found.value <= found.tasks[1]


def test_tasks_of_one_family_are_not_independent() -> None:
    """Thirty tasks of one family that gain, three others that lose: families leave far more open."""
    family = ["big"] * 30 + ["x", "y", "z"]
    a = np.r_[np.full(30, 0.5), np.full(3, 2.0)]
    found = gain(a, np.ones(33), family)
    wide, narrow = np.ptp(found.families), np.ptp(found.tasks)
    assert wide > 2 * narrow
    # Where each task is a family of its own both bootstraps are alike.
    alone = gain(a, np.ones(33), [str(i) for i in range(33)])
    assert np.ptp(alone.families) == pytest.approx(np.ptp(alone.tasks), rel=0.3)
    assert alone.tasks == found.tasks


def test_interval_golden() -> None:
    """The standard error of the mean of n logarithms, times 1.96."""
    rng = np.random.default_rng(1)
    logs = rng.normal(-0.2, 0.3, 400)
    found = gain(np.exp(logs), np.ones(400), [str(i) for i in range(400)])
    half = 1.96 * logs.std() / 20
    expected = 1 - np.exp(logs.mean() + np.array([half, -half]))
    np.testing.assert_allclose(found.tasks, expected, atol=0.004)
    np.testing.assert_allclose(found.families, expected, atol=0.004)


def test_an_exact_forecast_is_no_infinite_gain() -> None:
    found = gain(np.zeros(2), np.zeros(2), ["a", "b"])
    assert found.value == 0
    assert np.isfinite(gain(np.array([0.0, 1.0]), np.ones(2), ["a", "b"]).tasks).all()


def test_same_seed_same_intervals() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.uniform(0.5, 1, 20), rng.uniform(0.5, 1, 20)
    family = [str(i % 4) for i in range(20)]
    assert gain(a, b, family) == gain(a, b, family)
    assert gain(a, b, family).tasks != gain(a, b, family, seed=1).tasks


def test_a_mean_has_the_intervals_of_its_differences() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(0.03, 0.1, 400)
    found = mean(values, [str(i) for i in range(400)])
    assert found.value == pytest.approx(values.mean())
    half = 1.96 * values.std() / 20
    np.testing.assert_allclose(found.tasks, (values.mean() - half, values.mean() + half), atol=0.001)
    np.testing.assert_allclose(found.families, found.tasks, atol=0.001)
