from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from metalcx.curves import Curves, Metric
from metalcx.errors import DataError
from metalcx.forecasters import Baseline
from metalcx.integrations.sklearn import CurveRegressor

EPOCHS, HORIZON = 12, 20


def curves(n: int = 12, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The first epochs of curves, some shorter than others, and where they end."""
    rng = np.random.default_rng(seed)
    t = np.arange(1, HORIZON + 1)
    top, rate = rng.uniform(0.5, 0.9, (n, 1)), rng.uniform(0.1, 0.4, (n, 1))
    y = top * (1 - np.exp(-rate * t))
    seen = y[:, :EPOCHS].copy()
    seen[np.arange(EPOCHS) >= rng.integers(4, EPOCHS + 1, (n, 1))] = np.nan
    return seen, y[:, -1]


def regressor(**options) -> CurveRegressor:
    return CurveRegressor("max", **{"lower": 0.0, "upper": 1.0, "horizon": HORIZON, **options})


@parametrize_with_checks(
    [CurveRegressor("max", model=Baseline("affine")), CurveRegressor("min", model=Baseline("last"))]
)
def test_scikit_learns_own_checks(estimator, check) -> None:
    check(estimator)


def test_it_is_the_forecaster_on_these_curves() -> None:
    X, y = curves()
    model = Baseline("affine")
    fitted = regressor(model=model).fit(X[:8], y[:8])
    metric = Metric("value", "max", 0.0, 1.0)
    rows = [(i, t, X[i, t - 1]) for i in range(12) for t in range(1, EPOCHS + 1) if not np.isnan(X[i, t - 1])]
    rows += [(i, HORIZON, y[i]) for i in range(8)]
    known = Curves.from_frame(pd.DataFrame(rows, columns=["run", "t", "value"]), metric)
    forecast = model.adapt(known.completed()).forecast(known.running(), at=HORIZON)
    assert fitted.predict(X[8:]) == pytest.approx(forecast.mean)
    assert fitted.predict_quantiles(X[8:], [0.2, 0.7]) == pytest.approx(forecast.quantile([0.2, 0.7]))


def test_the_shipped_model_forecasts_better_than_the_last_value() -> None:
    X, y = curves(16)
    fitted = regressor().fit(X[:8], y[:8])
    last = np.array([row[~np.isnan(row)][-1] for row in X[8:]])
    assert np.abs(fitted.predict(X[8:]) - y[8:]).mean() < np.abs(last - y[8:]).mean()
    quantiles = fitted.predict_quantiles(X[8:])
    assert quantiles.shape == (8, 3)
    assert (np.diff(quantiles) >= 0).all()


def test_a_mirrored_metric_mirrors_the_forecast() -> None:
    X, y = curves()
    one = regressor(model=Baseline("affine")).fit(X[:8], y[:8]).predict(X[8:])
    other = CurveRegressor("min", lower=-1.0, upper=0.0, horizon=HORIZON, model=Baseline("affine"))
    assert other.fit(-X[:8], -y[:8]).predict(-X[8:]) == pytest.approx(-one)


def test_columns_from_the_horizon_on_are_not_used() -> None:
    X, y = curves()
    later = np.column_stack([X, np.full((12, 9), 0.5)])
    short = regressor(horizon=EPOCHS + 1, model=Baseline("affine"))
    assert (
        clone(short).fit(later[:8], y[:8]).predict(later[8:]).tolist()
        == clone(short).fit(X[:8], y[:8]).predict(X[8:]).tolist()
    )
    assert short.fit(X, y).horizon_ == CurveRegressor("max", model=Baseline("last")).fit(X, y).horizon_ == EPOCHS + 1


def test_it_takes_part_in_cross_validation() -> None:
    X, y = curves(20)
    scores = cross_val_score(regressor(model=Baseline("affine")), X, y, cv=4, scoring="neg_mean_absolute_error")
    assert (scores > -0.1).all()


def test_what_cannot_be_forecast_is_refused() -> None:
    X, y = curves()
    fitted = regressor(model=Baseline("last")).fit(X, y)
    empty = X.copy()
    empty[3] = np.nan
    with pytest.raises(DataError, match="no value in any column for runs 3"):
        fitted.predict(empty)
    with pytest.raises(DataError, match="leaves the bounds"):
        fitted.predict(X + 1)
    with pytest.raises(DataError, match="strictly between 0 and 1"):
        fitted.predict_quantiles(X, [1.0])
    with pytest.raises(DataError, match="goal 'up'"):
        CurveRegressor("up", model=Baseline("last")).fit(X, y)
