from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import ACCURACY, LOSS, SCORE, make, values

from metalcx.curves import Metric
from metalcx.errors import DataError
from metalcx.forecasters import Baseline
from metalcx.protocol import FRAME_LEVELS, LEVELS, Forecast, Forecaster, resolve_at

INF = np.inf
METRICS = st.sampled_from([SCORE, SCORE.mirrored()])


def forecast(quantiles: np.ndarray, metric: Metric = SCORE, scalar: bool = False) -> Forecast:
    """A forecast with quantiles of shape (n, m, levels)."""
    n, m, _ = quantiles.shape
    t = np.tile(np.arange(1.0, m + 1), (n, 1))
    ids = np.array([f"r{i}" for i in range(n)], dtype=object)
    return Forecast(metric, ids, t, quantiles, np.median(quantiles, -1), scalar)


def uniform(n: int = 3, m: int = 2, metric: Metric = SCORE, scalar: bool = False) -> Forecast:
    """Quantiles are the levels themselves, plus 10 a run and 1 a time."""
    start = 10.0 * np.arange(n)[:, None, None] + np.arange(m)[None, :, None]
    return forecast(start + LEVELS, metric, scalar)


@st.composite
def distributions(draw: st.DrawFn) -> np.ndarray:
    """Ascending quantiles, shape (levels,), with ties here and there."""
    return np.sort(draw(st.lists(values(-1e3, 1e3), min_size=len(LEVELS), max_size=len(LEVELS))))


LEVEL = st.floats(0.005, 0.995)


@given(quantiles=distributions(), level=LEVEL, metric=METRICS)
def test_cdf_undoes_quantile_away_from_atoms(quantiles: np.ndarray, level: float, metric: Metric) -> None:
    # A slope everywhere: no atoms but those beyond the outer levels, at which they sit.
    assume(level < 0.995 - 1e-9)
    one = forecast((quantiles + np.arange(len(LEVELS)))[None, None], metric, scalar=True)
    assert one.cdf(one.quantile(level))[0] == pytest.approx(level, abs=1e-9)


@given(quantiles=distributions(), level=LEVEL)
def test_cdf_at_a_quantile_is_at_least_its_level(quantiles: np.ndarray, level: float) -> None:
    one = forecast(quantiles[None, None], scalar=True)
    assert one.cdf(one.quantile(level))[0] >= level - 1e-9


@given(quantiles=distributions(), y=values(-2e3, 2e3), metric=METRICS)
def test_better_and_worse_make_one_but_for_atoms(quantiles: np.ndarray, y: float, metric: Metric) -> None:
    def both(one: Forecast) -> float:
        # Better under the opposite goal is worse.
        return float(one.prob_better(y)[0] + replace(one, metric=metric.mirrored()).prob_better(y)[0])

    assert both(forecast(quantiles[None, None], metric, scalar=True)) <= 1 + 1e-9
    smooth = quantiles + np.arange(len(LEVELS))
    if y not in smooth[[0, -1]]:
        assert both(forecast(smooth[None, None], metric, scalar=True)) == pytest.approx(1)


@given(quantiles=distributions(), y=values(-2e3, 2e3), level=LEVEL, metric=METRICS)
def test_mirrored(quantiles: np.ndarray, y: float, level: float, metric: Metric) -> None:
    one = forecast(quantiles[None, None], metric, scalar=True)
    other = one.mirrored()
    assert other.metric == metric.mirrored()
    assert np.array_equal(other.mean, -one.mean)
    assert other.quantile(1 - level)[0] == pytest.approx(-one.quantile(level)[0], rel=1e-6, abs=1e-6)
    assert other.prob_better(-y)[0] == one.prob_better(y)[0]
    assert (np.diff(other.values, axis=-1) >= 0).all()


def test_an_atom_is_neither_better_nor_worse_than_itself() -> None:
    atom = forecast(np.full((1, 1, len(LEVELS)), 0.5), scalar=True)
    for one in (atom, replace(atom, metric=SCORE.mirrored())):
        assert one.prob_better(0.5).tolist() == [0]
        assert one.cdf([0.49]).tolist() == [0]
        assert one.cdf([0.5]).tolist() == [1]
    assert atom.prob_better(0.4).tolist() == [1]


@given(quantiles=distributions(), levels=st.lists(LEVEL, min_size=2, max_size=6))
def test_quantiles_ascend_between_the_stored_ones(quantiles: np.ndarray, levels: list[float]) -> None:
    got = forecast(quantiles[None, None]).quantile(np.sort(levels))
    assert got.shape == (1, 1, len(levels))
    assert (np.diff(got) >= 0).all()


def test_samples_follow_the_quantiles_and_a_run_keeps_its_own() -> None:
    one = uniform(n=2, m=3)
    draws = one.sample(20_000, seed=1)
    assert draws.shape == (20_000, 2, 3)
    for level in (0.1, 0.5, 0.9):
        assert np.allclose(np.quantile(draws, level, axis=0), one.quantile(level), atol=0.015)
    # One uniform number for all times of a run, another for each run.
    assert np.allclose(draws[:, :, 1] - draws[:, :, 0], 1.0)
    assert abs(np.corrcoef(draws[:, 0, 0], draws[:, 1, 0])[0, 1]) < 0.05


def test_sample_has_a_seed_and_a_shape() -> None:
    one = uniform(n=4, m=1, scalar=True)
    assert one.sample(7, seed=3).shape == (7, 4)
    assert np.array_equal(one.sample(7, seed=3), one.sample(7, seed=3))
    assert not np.array_equal(one.sample(7, seed=3), one.sample(7, seed=4))
    assert uniform(n=0, m=2).sample(5).shape == (5, 0, 2)
    with pytest.raises(DataError, match="at least one draw; got n=0"):
        one.sample(0)


def test_infinities_stay_themselves() -> None:
    dead = forecast(np.full((1, 1, len(LEVELS)), -INF), scalar=True)
    assert dead.quantile(0.33).tolist() == [-INF]
    assert dead.prob_better(-1e300).tolist() == [0]
    assert (dead.sample(3) == -INF).all()
    assert dead.mirrored().quantile(0.33).tolist() == [INF]


def test_between_a_number_and_an_infinity_the_mass_is_on_the_infinity() -> None:
    quantiles = np.where(LEVELS < 0.5, -INF, 1.0 + LEVELS)[None, None]
    one = forecast(quantiles, scalar=True)
    assert one.quantile(0.47).tolist() == [-INF]
    assert one.quantile(0.5).tolist() == [1.5]
    assert one.cdf(0.0).tolist() == [0.5]
    assert not np.isnan(one.sample(500)).any()
    other = one.mirrored()
    assert other.quantile(0.53).tolist() == [INF]
    assert other.prob_better(-0.0).tolist() == one.prob_better(0.0).tolist() == [0.5]


def test_large_numbers_do_not_overflow() -> None:
    one = forecast(1.7e308 * np.linspace(-1, 1, len(LEVELS))[None, None], scalar=True)
    assert np.isfinite(one.quantile(0.33)).all()
    assert one.cdf(one.quantile(0.33))[0] == pytest.approx(0.33)


def test_shapes() -> None:
    one, many = uniform(n=3, m=1, scalar=True), uniform(n=3, m=2)
    assert one.mean.shape == one.median.shape == one.quantile(0.1).shape == one.cdf(0.5).shape == (3,)
    assert one.quantile([0.1, 0.9]).shape == (3, 2)
    assert many.mean.shape == many.quantile(0.1).shape == many.prob_better(0.5).shape == (3, 2)
    assert many.quantile([0.1, 0.5, 0.9]).shape == (3, 2, 3)
    assert one.cdf([0.5, 10.5, 20.5]) == pytest.approx([0.5, 0.5, 0.5])
    assert many.cdf(many.quantile(0.25)) == pytest.approx(np.full((3, 2), 0.25))
    assert len(many) == 3
    assert many.take([2, 0]).ids.tolist() == ["r2", "r0"]
    assert many.take(np.array([False, True, False])).mean.tolist() == many.mean[1:2].tolist()


def test_to_frame_has_the_columns_of_the_contract() -> None:
    frame = uniform(n=2, m=2).to_frame()
    assert ",".join(frame.columns) == "run,t,mean,q0.025,q0.05,q0.1,q0.25,q0.5,q0.75,q0.9,q0.95,q0.975"
    assert frame["run"].tolist() == ["r0", "r0", "r1", "r1"]
    assert frame["t"].tolist() == [1, 2, 1, 2]
    assert frame.iloc[3, 3:].tolist() == pytest.approx([11 + level for level in FRAME_LEVELS])
    whole = replace(uniform(n=2, m=1), ids=np.array([7, 8], dtype=object)).to_frame()
    assert pd.api.types.is_integer_dtype(whole["run"])
    assert len(uniform(n=0).to_frame()) == 0


@pytest.mark.parametrize("level", [0.0, 1.0, -0.1, [0.5, 1.5], np.nan])
def test_levels_lie_between_zero_and_one(level: float) -> None:
    with pytest.raises(DataError, match="strictly between 0 and 1"):
        uniform().quantile(level)


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(DataError, match="NaN"):
        uniform().prob_better(np.nan)
    with pytest.raises(DataError, match=r"shape \(5,\) fit no forecast of shape \(3, 2\)"):
        uniform().cdf(np.zeros(5))


def test_arrays_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataError, match="a forecast of 3 runs needs values of shape"):
        replace(uniform(), point=np.zeros((3, 1)))


QUERIES = make(ACCURACY, [([1, 2], [0.1, 0.2]), ([1], [0.3])], ["running"] * 2, ["a", 5])


@pytest.mark.parametrize(
    ("at", "expected", "scalar"),
    [
        (7, [[7], [7]], True),
        ([7, 9], [[7, 9], [7, 9]], False),
        ([7], [[7], [7]], False),
        (np.array([[7], [9]]), [[7], [9]], True),
        (np.array([[7, 8], [9, 10]]), [[7, 8], [9, 10]], False),
        ({5: 9, "a": 7, "other": 1}, [[7], [9]], True),
        (pd.Series([9.0, 7.0], index=[5, "a"]), [[7], [9]], True),
    ],
)
def test_at_comes_in_every_form(at: object, expected: list, scalar: bool) -> None:
    times, one = resolve_at(QUERIES, at)  # type: ignore[arg-type]
    assert times.tolist() == expected
    assert one is scalar
    fc = Baseline("last").forecast(QUERIES, at)  # type: ignore[arg-type]
    assert fc.mean.shape == ((2,) if scalar else (2, len(expected[0])))
    assert fc.ids.tolist() == ["a", 5]


@pytest.mark.parametrize(
    ("at", "told"),
    [
        (np.nan, "a time of runs 'a', 5 is not finite"),
        ({"a": 7, 5: INF}, "a time of runs 5 is not finite"),
        ({"a": 7}, "no time for runs 5; give one number"),
        (np.zeros((3, 1)), "at has 3 rows for 2 runs"),
        (np.zeros((2, 1, 1)), r"at of shape \(2, 1, 1\) fits nothing"),
        ([], r"at of shape \(0,\) fits nothing"),
        ("soon", "'soon' is not numbers"),
        ({"a": "x", 5: 1}, "is not numbers"),
    ],
)
def test_at_that_fits_nothing_is_named(at: object, told: str) -> None:
    with pytest.raises(DataError, match=told):
        resolve_at(QUERIES, at)  # type: ignore[arg-type]


def test_protocol_is_checked_by_its_methods() -> None:
    assert isinstance(Baseline("last"), Forecaster)
    assert not isinstance(object(), Forecaster)


def test_levels_are_symmetric_and_ascend() -> None:
    assert np.allclose(LEVELS + LEVELS[::-1], 1.0)
    assert (np.diff(LEVELS) > 0).all()
    assert set(FRAME_LEVELS) <= set(LEVELS.tolist())


def test_a_diverged_loss_is_worse_than_anything() -> None:
    queries = make(LOSS, [([1, 2], [1.0, INF]), ([1, 2], [1.0, 0.9])], ["diverged", "running"])
    fc = Baseline("last").forecast(queries, 9)
    assert fc.mean.tolist() == [INF, 0.9]
    assert fc.prob_better(1e9).tolist() == [0, 1]
    assert fc.to_frame()["q0.5"].tolist() == [INF, 0.9]
