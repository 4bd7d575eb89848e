"""scikit-learn: a regressor from the first epochs of curves to their final value.

Example:
    Twenty whole curves are known, and ten of which eight epochs are seen::

        import numpy as np

        from metalcx.integrations.sklearn import CurveRegressor

        rng = np.random.default_rng(0)
        epochs = np.arange(1, 31)
        top, rate = rng.uniform(0.6, 0.9, (30, 1)), rng.uniform(0.05, 0.3, (30, 1))
        curves = top * (1 - np.exp(-rate * epochs)) + rng.normal(0, 0.003, (30, 30))
        final = curves[:, -1]

        seen = curves[20:].copy()
        seen[:, 8:] = np.nan
        regressor = CurveRegressor(goal="max", lower=0.0, upper=1.0, horizon=30).fit(curves[:20], final[:20])
        print(np.abs(regressor.predict(seen) - final[20:]).mean())
        print(regressor.predict_quantiles(seen, [0.1, 0.9])[0])
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from metalcx.curves import Curves, Metric
from metalcx.hub import load
from metalcx.integrations._policy import MODEL
from metalcx.protocol import FloatArray, Forecast, Forecaster

__all__ = ["CurveRegressor"]


class CurveRegressor(RegressorMixin, BaseEstimator):
    """Forecasts how curves end, after adapting to a few whose end is known.

    A row of ``X`` is a curve, a column an epoch (the first is epoch 1), NaN what is not measured or not yet; ``y``
    is the value at the horizon. Curves with times of their own, configurations or architectures go to the
    forecaster itself.

    Args:
        goal: ``"max"`` if higher is better, ``"min"`` if lower is.
        lower: Smallest possible value, or None.
        upper: Largest possible value, or None.
        horizon: Epoch of ``y``; by default the one after the last column. Columns from there on are not used.
        model: The forecaster, or the name or folder of one.

    Attributes:
        model_: The adapted forecaster.
        horizon_: Epoch of the final values.
        n_features_in_: Columns of the ``X`` that was fitted.
    """

    def __init__(
        self,
        goal: Literal["max", "min"],
        *,
        lower: float | None = None,
        upper: float | None = None,
        horizon: float | None = None,
        model: str | Path | Forecaster = MODEL,
    ) -> None:
        self.goal = goal
        self.lower = lower
        self.upper = upper
        self.horizon = horizon
        self.model = model

    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike) -> Self:
        """Adapt to curves, shape (n_curves, n_epochs), whose final values, shape (n_curves,), are known.

        Raises:
            DataError: If a value leaves the bounds, or the horizon is not finite.
        """
        known: tuple[FloatArray, FloatArray] = validate_data(
            self, X, y, ensure_all_finite="allow-nan", y_numeric=True, dtype=np.float64
        )
        self.horizon_ = float(self.n_features_in_ + 1 if self.horizon is None else self.horizon)
        base = load(self.model) if isinstance(self.model, str | Path) else self.model
        self.model_ = base.adapt(self._curves(*known))
        return self

    def predict(self, X: npt.ArrayLike) -> FloatArray:
        """Expected final values, shape (n_curves,).

        Raises:
            DataError: If a curve has no value at all before the horizon.
        """
        return self._forecast(X).mean

    def predict_quantiles(self, X: npt.ArrayLike, quantiles: npt.ArrayLike = (0.1, 0.5, 0.9)) -> FloatArray:
        """Quantiles of the final values, shape (n_curves, n_quantiles).

        Raises:
            DataError: As `predict`; also if a level is not strictly between 0 and 1.
        """
        return self._forecast(X).quantile(np.atleast_1d(np.asarray(quantiles, dtype=np.float64)))

    def _forecast(self, X: npt.ArrayLike) -> Forecast:
        check_is_fitted(self)
        seen = validate_data(self, X, reset=False, ensure_all_finite="allow-nan", dtype=np.float64)
        return self.model_.forecast(self._curves(seen), at=self.horizon_)

    def _curves(self, X: FloatArray, y: FloatArray | None = None) -> Curves:
        import pandas as pd

        t = np.arange(1.0, X.shape[1] + 1)
        table = pd.DataFrame(X[:, t < self.horizon_], columns=t[t < self.horizon_])
        if y is not None:
            table[self.horizon_] = y
        metric = Metric("value", self.goal, self.lower, self.upper)
        return Curves.from_wide(table, metric, horizon=self.horizon_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        # The checks' data are not curves.
        tags.regressor_tags.poor_score = True
        return tags
