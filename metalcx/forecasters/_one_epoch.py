"""The one-epoch rule: runs keep the order they had at their first point."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metalcx.curves import Curves, PaddedCurves
from metalcx.curves._batch import FloatArray
from metalcx.forecasters._aligned import Aligned, align
from metalcx.forecasters._base import BaseForecaster, gaussian
from metalcx.forecasters._simple import prior_scale, shrunk_variance

#: Least slope, in units of the ratio of spreads: small enough to say "all alike", large enough to keep the order.
LEAST_SLOPE = 1e-3


@dataclass(frozen=True)
class OneEpoch(BaseForecaster):
    """Forecast from the value at a run's first measured time after zero alone, whatever came later.

    The one-epoch rule of Egele et al. (2024, "The unreasonable effectiveness of early discarding after one epoch in
    neural network hyperparameter optimization", arXiv:2404.04111) discards all but the best runs after one epoch. Here
    their first values are mapped to the time asked by the increasing least-squares line through the support, so that
    runs are ranked and stopped as the rule does, with a level and a width (leave-one-out) that can be judged beside
    others. Without support the first value itself is the forecast; a single support run shifts it.
    """

    def _predict(
        self, prefix: PaddedCurves, rows: np.ndarray, times: FloatArray, queries: Curves
    ) -> tuple[FloatArray, FloatArray]:
        a = align(self.support.curves, _first_points(prefix), rows, times)
        point, prior = increasing(a), prior_scale(a)
        if a.k > 1:
            errors = increasing(a.leave_one_out()).reshape(a.future.shape) - a.future
            variance = shrunk_variance(errors, prior)
        else:
            variance = prior**2
        return a.rows(point), gaussian(a.rows(point), a.rows(np.sqrt(variance)))


def _first_points(curves: PaddedCurves) -> PaddedCurves:
    """Each curve's first point after t = 0, or its first if it has no other: prefixes of one point."""
    row = np.arange(len(curves))
    first = np.argmax(curves.t > 0, axis=1)
    t, y = curves.t[row, first][:, None], curves.y[row, first][:, None]
    return PaddedCurves(t, y, np.ones(len(row), dtype=np.int64), np.zeros(len(row), dtype=bool))


def increasing(a: Aligned) -> FloatArray:
    """Least-squares line from the value at the cut to the value asked, its slope positive; shape (u, Q)."""
    if not a.k:
        return a.query.last
    x, z = a.past.last, a.future
    mx, mz = x.mean(1, keepdims=True), z.mean(1, keepdims=True)
    dx, dz = x - mx, z - mz
    var, spread = (dx**2).sum(1, keepdims=True), (dz**2).sum(1, keepdims=True)
    flat = var <= 1e-24 * (x**2).sum(1, keepdims=True)
    safe = np.where(flat, 1.0, var)
    slope = np.maximum((dx * dz).sum(1, keepdims=True) / safe, LEAST_SLOPE * np.sqrt(spread / safe))
    # Values or finals that are all alike show no slope: the shift keeps the order.
    slope = np.where(flat | (spread == 0), 1.0, slope)
    return np.asarray(mz + slope * (a.query.last - mx))
