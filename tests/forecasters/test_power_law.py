"""Power laws: each family recovers its own truth, and nothing runs away."""

from __future__ import annotations

import time

import numpy as np
import pytest
from strategies import LOSS, SCORE, make

from metalcx.errors import DataError
from metalcx.forecasters import Baseline, PowerLaw
from metalcx.forecasters._binning import binned
from metalcx.forecasters._families import FAMILIES

T = np.arange(1.0, 101)


def truths(n: int = 12) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    a, b, c = (rng.uniform(low, high, (n, 1)) for low, high in ((0.6, 0.95), (0.3, 0.6), (0.3, 1.2)))
    return {
        "pow3": a - b * T**-c,
        "pow4": a - b * (T + 3.0) ** -c,
        "exp3": a - b * np.exp(-T / (20.0 * c)),
        "weibull": a - b * np.exp(-((T / 20.0) ** c)),
        "mmf4": a - b / (1.0 + (T / 10.0) ** (2 * c)),
        "ilog2": a - b / np.log1p(T),
        "log_power": a / (1.0 + (T / 5.0) ** -c),
    }


@pytest.mark.parametrize("family", sorted(truths()))
def test_each_family_extrapolates_its_own_curves(family: str) -> None:
    y = truths()[family]
    curves = make(SCORE, [(T, row) for row in y])
    for name in (family, "best"):
        point = PowerLaw(name).forecast(curves.truncate(40), 100.0).mean
        np.testing.assert_allclose(point, y[:, -1], rtol=0.01, err_msg=name)


def test_a_falling_loss_is_a_rising_score() -> None:
    y = 1.0 - truths()["pow3"]
    point = PowerLaw("pow3").forecast(make(LOSS, [(T, row) for row in y]).truncate(40), 100.0).mean
    np.testing.assert_allclose(point, y[:, -1], rtol=0.02)


def test_support_adds_what_the_fit_misses() -> None:
    # All runs jump by 0.2 late, which no fit to the first 40 points can know.
    y = truths(30)["pow3"] + 0.2 * (T > 80)
    curves = make(SCORE, [(T, row) for row in y])
    model = PowerLaw("pow3")
    queries, end = curves.take(np.arange(10, 30)).truncate(40), y[10:, -1]
    alone = np.abs(model.forecast(queries, 100.0).mean - end).mean()
    helped = np.abs(model.adapt(curves.take(np.arange(10))).forecast(queries, 100.0).mean - end).mean()
    assert alone > 0.15
    assert helped < 0.02


def test_where_curves_do_not_extrapolate_trust_falls_to_the_shift() -> None:
    rng = np.random.default_rng(1)
    rise = rng.uniform(0.1, 1.0, (40, 1)) * np.log(T[:20])
    y = np.concatenate([rise, np.repeat(rise[:, -1:] + 0.05, 80, 1)], 1)
    curves = make(SCORE, [(T, row) for row in y])
    queries, end = curves.take(np.arange(20, 40)).truncate(20), y[20:, -1]
    law, shift = (
        np.abs(f.adapt(curves.take(np.arange(20))).forecast(queries, 100.0).mean - end).mean()
        for f in (PowerLaw("ilog2"), Baseline("shift"))
    )
    assert law <= shift + 1e-9


def test_extrapolation_stays_within_a_multiple_of_the_range() -> None:
    y = np.array([0.0, 1e-3, 0.01, 0.05, 0.2, 1.0])
    fc = PowerLaw().forecast(make(SCORE, [(T[:6], y), (T[:6], -y)], ["running"] * 2), 1e6)
    assert (np.abs(fc.mean - [1.0, -1.0]) <= 2.0 + 1e-12).all()


@pytest.mark.parametrize("n", [1, 2, 3])
def test_short_prefixes_keep_their_last_value(n: int) -> None:
    fc = PowerLaw().forecast(make(SCORE, [(T[:n], 0.1 * T[:n])], ["running"]), 50.0)
    np.testing.assert_allclose(fc.mean, 0.1 * n)


def test_unknown_family_is_named() -> None:
    with pytest.raises(DataError, match=r"no family 'pow5'; there is 'best'.*'pow3'"):
        PowerLaw("pow5")


def test_bins_keep_mass_and_mean() -> None:
    rng = np.random.default_rng(0)
    runs = [(np.arange(1.0, n + 1), rng.normal(size=n)) for n in (1, 5, 32, 33, 100, 1000)]
    padded = make(SCORE, runs).padded()
    cells = binned(padded, padded.length, 32)
    np.testing.assert_array_equal(cells.weight.sum(1), padded.length)
    np.testing.assert_array_equal(cells.used.sum(1), np.minimum(padded.length, 32))
    np.testing.assert_allclose((cells.weight * cells.y).sum(1), [y.sum() for _, y in runs], atol=1e-12)
    assert (np.diff(cells.t, axis=1) >= 0).all()
    np.testing.assert_array_equal(cells.y[2], runs[2][1])


def test_derivatives_of_the_families() -> None:
    x, origin = np.linspace(-3.0, 1.0, 9), np.array([-3.0])
    for name, family in FAMILIES.items():
        for theta in family.grid[:: max(1, len(family.grid) // 5)]:
            phi, slope = family.basis(x, theta, origin)
            for i in range(len(theta)):
                step = np.zeros(len(theta))
                step[i] = 1e-6
                up, down = (family.basis(x, theta + s, origin)[0] for s in (step, -step))
                scale = np.abs(phi).max()
                np.testing.assert_allclose(slope[i] / scale, (up - down) / 2e-6 / scale, atol=1e-6, err_msg=name)


def test_two_hundred_curves_in_well_under_a_second() -> None:
    y = np.random.default_rng(0).normal(0, 0.01, (220, 100)) + np.log(T)
    curves = make(SCORE, [(T, row) for row in y])
    model, queries = PowerLaw().adapt(curves.take(np.arange(20))), curves.take(np.arange(20, 220)).truncate(50)
    start = time.process_time()
    model.forecast(queries, 100.0)
    assert time.process_time() - start < 2.0
