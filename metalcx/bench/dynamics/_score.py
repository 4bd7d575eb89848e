"""How far forecasts are off: MAPE and RMSE up to three horizons, the last point included, and the order of finals."""

from __future__ import annotations

import numpy as np
import pandas as pd

from metalcx.bench._tau import tau
from metalcx.bench.dynamics._fold import HORIZONS, Fold
from metalcx.bench.dynamics._rows import Told
from metalcx.curves._batch import IntArray

#: Values nearer to 0 than this share of the training spread count as that far in the denominator of a MAPE.
NEAR_ZERO = 1e-2


def scored(told: Told, fold: Fold) -> pd.DataFrame:
    """One row a test run: its mean absolute percentage and mean squared error up to each horizon, and its final."""
    true, values = fold.y[fold.test][:, fold.seen :], fold.bounded(told.values)
    size = np.maximum(np.abs(true), NEAR_ZERO * fold.spread)
    columns: dict[str, object] = {
        "run": fold.task.curves.ids[fold.test],
        "group": fold.task.group[fold.test],
        "final": true[:, -1],
        "told": values[:, -1],
    }
    for horizon, points in zip(HORIZONS, n_points(fold), strict=True):
        miss = values[:, :points] - true[:, :points]
        columns[f"mape{horizon:g}"] = (np.abs(miss) / size[:, :points]).mean(1)
        columns[f"mse{horizon:g}"] = np.square(miss).mean(1)
    return pd.DataFrame(columns).assign(train=told.train, test=told.test, step=told.step)


def n_points(fold: Fold) -> IntArray:
    """Forecast points up to each horizon, at least one."""
    ends = np.round(np.array(HORIZONS) * fold.y.shape[1]).astype(np.int64)
    return np.maximum(ends - fold.seen, 1)


def table_of(runs: pd.DataFrame) -> dict[str, float]:
    """One cell of the table: a row on the test runs of one fold."""
    found: dict[str, float] = {}
    for horizon in HORIZONS:
        found[f"mape{horizon:g}"] = float(runs[f"mape{horizon:g}"].mean())
        found[f"rmse{horizon:g}"] = float(np.sqrt(runs[f"mse{horizon:g}"].mean()))
    return found | {"tau": tau(runs["told"].to_numpy(), runs["final"].to_numpy())}
