"""How well an order is told."""

from __future__ import annotations

import numpy as np

from metalcx.curves._batch import FloatArray


def tau(told: FloatArray, true: FloatArray) -> float:
    """Kendall's tau-b; 0 where all are told alike."""
    from scipy.stats import kendalltau

    found = float(kendalltau(told, true).statistic)
    return found if np.isfinite(found) else 0.0
