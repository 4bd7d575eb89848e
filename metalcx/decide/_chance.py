"""What chance a running run has to beat an incumbent."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from metalcx.curves import Curves
from metalcx.protocol import FloatArray, Forecast

BoolArray = npt.NDArray[np.bool_]


def prob_better(forecast: Forecast, than: float, width: float = 1.0) -> FloatArray:
    """P(value is better than `than`) by forecasts of one time each, made `width` times as wide; shape (n,)."""
    if width == 1.0:
        return forecast.prob_better(than)
    median = forecast.values[:, 0, forecast.values.shape[-1] // 2]
    # A wider forecast beats a value as often as the narrow one beats a value so much nearer to its median.
    with np.errstate(invalid="ignore"):
        nearer = median + (than - median) / width
    return forecast.prob_better(np.where(np.isfinite(median), nearer, than))


class Chance(NamedTuple):
    """What one metric says of running runs.

    Attributes:
        running: The runs, n of them.
        t: Time of each run's last measured point, NaN if there is none, shape (n,).
        incumbent: The value to beat; NaN if there is none.
        horizon: When runs are compared; NaN if it is not known.
        probability: Of beating it, NaN where it was not asked for, shape (n,).
        low: Whether the metric is for stopping, shape (n,).
        kept: Why a run goes on without being asked about, by its position.
    """

    running: Curves
    t: FloatArray
    incumbent: float
    horizon: float
    probability: FloatArray
    low: BoolArray
    kept: dict[int, str]
