"""What every baseline keeps, on random and on extreme curves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import ACCURACY, SCORE, make

from metalcx.curves import Curves
from metalcx.errors import DataError
from metalcx.forecasters import BaseForecaster, Baseline, LatentKroneckerGP, OneEpoch, PowerLaw, _base
from metalcx.testing import check_forecaster, synthetic_curves

FORECASTERS: dict[str, BaseForecaster] = {
    **{
        e: Baseline(e)
        for e in (
            "last",
            "best",
            "shift",
            "median",
            "affine",
            "theil_sen",
            "trend",
            "trend_shift",
            "ridge",
            "gp",
            "neighbours",
        )
    },
    "med5": Baseline("med5"),
    "one_epoch": OneEpoch(),
    "power_law": PowerLaw(),
    "latent_kronecker": LatentKroneckerGP(),
}
each = pytest.mark.parametrize("name", sorted(FORECASTERS))
T = np.arange(1.0, 13)


def task(seed: int, n: int = 12, scale: float = 1.0) -> Curves:
    rng = np.random.default_rng(seed)
    y = scale * (rng.uniform(0.5, 1, (n, 1)) - rng.uniform(0.2, 0.5, (n, 1)) * T ** -rng.uniform(0.3, 2, (n, 1)))
    return make(SCORE, [(T, row) for row in y + 0.01 * scale * rng.normal(size=y.shape)])


@pytest.mark.parametrize("name", ["one_epoch", "latent_kronecker"])
def test_shared_rules(name: str) -> None:
    check_forecaster(FORECASTERS[name])


@each
@settings(max_examples=4)
@given(
    seed=st.integers(0, 10**6),
    k=st.sampled_from([0, 1, 2, 3, 6]),
    cuts=st.lists(st.integers(1, 11), min_size=6, max_size=6),
)
def test_a_forecast_does_not_know_its_batch(name: str, seed: int, k: int, cuts: list[int]) -> None:
    curves = task(seed)
    model = FORECASTERS[name].adapt(curves.take(np.arange(k)))
    queries = curves.take(np.arange(6, 12)).truncate(cuts)
    whole = model.forecast(queries, [11.5, 12.0, 30.0])
    for i in (0, 5):
        one = model.forecast(queries.take([i]), 12.0)
        np.testing.assert_allclose(one.mean, whole.mean[i, 1], rtol=1e-9)
        np.testing.assert_allclose(one.values[0], whole.values[i, 1:2], rtol=1e-8)


@each
def test_many_runs_are_forecast_piece_by_piece(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    curves = task(3, 18)
    model = FORECASTERS[name].adapt(curves.take(np.arange(6)))
    # A run that is asked for what it has shown, so that a piece has nothing to forecast, stands among the others.
    queries = curves.take(np.arange(6, 18)).truncate([4, 12, 12, 12, 5, 6, 7, 3, 4, 5, 2, 8])
    at = [2.0, 11.5, 12.0]
    whole = model.forecast(queries, at)
    # Cut by the number of runs, and by what is described of distinct beginnings.
    for piece, usual in ((3, 100), (20, 1)):
        monkeypatch.setattr(_base, "PIECE", piece)
        monkeypatch.setattr(_base, "USUAL", usual)
        pieces = model.forecast(queries, at)
        np.testing.assert_allclose(pieces.values, whole.values, rtol=1e-8)
        np.testing.assert_allclose(pieces.mean, whole.mean, rtol=1e-8)


def test_what_was_measured_of_a_diverged_run_is_known_and_the_rest_is_the_worst() -> None:
    parts = [
        (T[:4], np.array([0.2, 0.4, 0.5, np.inf])),
        (T[:1], np.array([np.inf])),
        (T[:3], np.array([0.2, 0.3, 0.4])),
    ]
    queries = make(ACCURACY, parts, ["diverged", "diverged", "running"])
    for model in (Baseline("med5"), PowerLaw()):
        got = model.forecast(queries, [1.5, 3.0, 4.0, 9.0])
        np.testing.assert_allclose(got.mean[0], [0.3, 0.5, ACCURACY.worst, ACCURACY.worst])
        assert (got.mean[1] == ACCURACY.worst).all()
        np.testing.assert_array_equal(got.values[:2], np.repeat(got.mean[:2, :, None], got.values.shape[-1], -1))
        alone = model.forecast(queries.take([2]), [1.5, 3.0, 4.0, 9.0])
        np.testing.assert_array_equal(alone.values[0], got.values[2])


@each
@pytest.mark.parametrize("k", [0, 2, 6])
def test_mirror_is_exact(name: str, k: int) -> None:
    curves = task(1)
    queries = curves.take(np.arange(6, 12)).truncate(5)
    plain = FORECASTERS[name].adapt(curves.take(np.arange(k))).forecast(queries, 12.0)
    other = FORECASTERS[name].adapt(curves.take(np.arange(k)).mirrored()).forecast(queries.mirrored(), 12.0)
    np.testing.assert_array_equal(other.mirrored().values, plain.values)
    np.testing.assert_array_equal(-other.mean, plain.mean)


@each
@pytest.mark.parametrize("k", [0, 1, 6])
def test_the_unit_of_time_does_not_matter(name: str, k: int) -> None:
    curves = task(2)
    found = []
    for unit in (1.0, 391.0):
        own = make(SCORE, [(unit * T, curves.y[12 * i : 12 * i + 12]) for i in range(12)])
        model = FORECASTERS[name].adapt(own.take(np.arange(k)))
        found.append(model.forecast(own.take(np.arange(6, 12)).truncate(5 * unit), 12.0 * unit).values)
    np.testing.assert_allclose(found[1], found[0], rtol=1e-6)


@pytest.mark.parametrize("name", ["trend", "trend_shift", "med5", "affine"])
@pytest.mark.parametrize("k", [0, 1, 6])
def test_times_below_zero_count_from_the_first(name: str, k: int) -> None:
    found = []
    for start in (0.0, -30.0):
        own = make(SCORE, [(T - T[0] + start, task(2).y[12 * i : 12 * i + 12]) for i in range(12)])
        model = FORECASTERS[name].adapt(own.take(np.arange(k)))
        found.append(
            model.forecast(own.take(np.arange(6, 12)).truncate(start + 5), start + np.array([8.0, 11.0])).values
        )
    np.testing.assert_allclose(found[1], found[0], rtol=1e-9)


@each
@pytest.mark.parametrize("scale", [1e-12, 1e34])
@pytest.mark.parametrize("k", [0, 1, 6])
def test_the_unit_of_values_does_not_matter(name: str, k: int, scale: float) -> None:
    found = []
    for s in (1.0, scale):
        curves = task(3, scale=s)
        model = FORECASTERS[name].adapt(curves.take(np.arange(k)))
        found.append(model.forecast(curves.take(np.arange(6, 12)).truncate(5), 12.0).values / s)
    np.testing.assert_allclose(found[1], found[0], rtol=1e-5)


@each
@pytest.mark.parametrize("k", [1, 2, 3, 8])
def test_one_wild_value_stays_finite_and_bounded(name: str, k: int) -> None:
    curves = task(4)
    y = curves.y.copy()
    y[12 * 7 + 2], y[12 * 8 + 4] = -1e34, -1e34  # a support run's third point, a query's last
    wild = make(SCORE, [(T, y[12 * i : 12 * i + 12]) for i in range(12)])
    fc = FORECASTERS[name].adapt(wild.take(np.arange(8 - k, 8))).forecast(wild.take(np.arange(8, 12)).truncate(5), 12.0)
    assert np.isfinite(fc.values).all()
    assert (np.diff(fc.values, axis=-1) >= 0).all()
    assert (np.abs(fc.mean) < 50).all()


@each
@pytest.mark.parametrize("value", [0.0, 0.7, -3e5])
@pytest.mark.parametrize("k", [0, 1, 5])
def test_constant_curves_stay_constant(name: str, value: float, k: int) -> None:
    curves = make(SCORE, [(T, np.full(12, value))] * 8)
    fc = FORECASTERS[name].adapt(curves.take(np.arange(k))).forecast(curves.take(np.arange(5, 8)).truncate(4), 12.0)
    np.testing.assert_allclose(fc.mean, value, rtol=1e-6, atol=1e-9)
    if name == "one_epoch" and not k:  # it looks at one point, and nothing else says that curves are flat
        assert (fc.values[..., -1] - fc.values[..., 0] >= 0.1 * abs(value)).all()
    else:
        assert (fc.values[..., -1] - fc.values[..., 0] <= 0.1 * abs(value) + 1e-6).all()


@pytest.mark.parametrize("value", [0.7, -3e5])
def test_a_single_point_without_support_is_no_reason_to_be_sure(value: float) -> None:
    curves = make(SCORE, [(T, np.full(12, value))] * 3)
    for name in ("last", "med5"):
        forecast = FORECASTERS[name].forecast(curves.truncate(1.0), 12.0)
        assert (forecast.quantile(0.9) - forecast.quantile(0.1) > 0.2 * abs(value)).all()


@each
@pytest.mark.parametrize("k", [0, 1, 2, 7])
def test_diverged_runs_and_single_points(name: str, k: int) -> None:
    good = synthetic_curves(8, 12)
    parts = [(T, good.y[12 * i : 12 * i + 12]) for i in range(8)]
    parts[1] = (T[:4], np.array([0.1, 0.2, 0.2, -np.inf]))
    parts[7] = (T[:1], parts[7][1][:1])
    status = ["completed"] * 8
    status[1], status[7] = "diverged", "running"
    curves = make(ACCURACY, parts, status)
    fc = FORECASTERS[name].adapt(curves.take(np.arange(k))).forecast(curves.take([7, 1, 3]).truncate([1, 12, 5]), 12.0)
    assert np.isfinite(fc.values).all()
    assert (fc.values[1] == 0.0).all()
    assert ((fc.values >= 0) & (fc.values <= 1)).all()


@each
def test_no_look_ahead_and_what_was_seen_is_certain(name: str) -> None:
    curves = task(5)
    model = FORECASTERS[name].adapt(curves.take(np.arange(6)))
    queries = curves.take(np.arange(6, 12))
    changed = make(SCORE, [(T, np.where(T > 5, 9.0, queries.y[12 * i : 12 * i + 12])) for i in range(6)])
    a, b = (model.forecast(q.truncate(5), [3.0, 12.0]) for q in (queries, changed))
    np.testing.assert_array_equal(a.values, b.values)
    np.testing.assert_array_equal(a.values[:, 0], np.repeat(queries.y[2::12, None], a.values.shape[-1], 1))


def test_unfinished_support_and_foreign_metric_are_refused() -> None:
    with pytest.raises(DataError, match="still running"):
        Baseline().adapt(task(0).truncate(5))
    with pytest.raises(DataError, match="but the support measured"):
        Baseline().adapt(task(0)).forecast(make(ACCURACY, [([1], [0.5])], ["running"]), 2.0)
    with pytest.raises(DataError, match="no expert 'best5'"):
        Baseline("best5")
