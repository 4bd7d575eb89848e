"""How much wider or narrower forecasts are made by what held-out support runs say."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from metalcx.curves._batch import FloatArray
from metalcx.forecasters._gate_network import MEDIAN
from metalcx.protocol import LEVELS

#: Runs of support whose worth a width factor of 1 keeps.
WIDTH_PRIOR = 8.0


def width_factor(quantiles: FloatArray, y: npt.NDArray[np.floating], k: int) -> float:
    """Factor on the quantiles' distance from the median that calibrates held-out forecasts, shrunk to 1.

    Each answer's distance from the median, in units of the half width of the 80 % interval on its
    side, exceeds 1 for a fifth of the runs if the widths are right; the factor is its 80 % quantile.

    Args:
        quantiles: Held-out forecasts, shape (b, len(LEVELS)).
        y: Their answers, shape (b,).
        k: Number of runs from which they come.
    """
    median = quantiles[:, MEDIAN]
    low, high = (quantiles[:, int(np.flatnonzero(np.isclose(LEVELS, p))[0])] for p in (0.1, 0.9))
    half = np.where(y >= median, high - median, median - low)
    ratio = float(np.quantile(np.abs(y - median) / np.maximum(half, 1e-9), 0.8))
    shrunk = np.exp(np.log(np.clip(ratio, 0.2, 5.0)) * k / (k + WIDTH_PRIOR))
    return float(shrunk)
