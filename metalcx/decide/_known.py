"""What is known of runs at one time: which can be compared at all, where they stood, and the best that had ended."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from metalcx.curves import Curves
from metalcx.errors import DataError
from metalcx.protocol import LEVELS, FloatArray, Forecast


def check_at(at: float) -> None:
    """Refuse a time at which nothing can be compared.

    Raises:
        DataError: If it is not finite.
    """
    if not np.isfinite(at):
        raise DataError(f"runs are compared at a finite time; got {at}: give a number (--at)")


def known_of(curves: Curves) -> Curves:
    """The runs that something is known of: with a measured value, or diverged."""
    return curves.take((curves.padded().length > 0) | (curves.status == "diverged"))


def going(curves: Curves, at: float) -> npt.NDArray[np.bool_]:
    """Which runs are still forecast: running ones that have not come to `at`, shape (n,)."""
    return np.asarray((curves.status == "running") & (curves.padded().t_last < at), dtype=np.bool_)


def values_at(curves: Curves, at: float) -> FloatArray:
    """Where each run stood at `at`, or at its last value before; `Metric.worst` where it diverged; shape (n,)."""
    seen = curves.padded().at(np.full((len(curves), 1), at))[:, 0]
    return np.where(curves.status == "diverged", curves.metric.worst, seen)


def incumbent_at(curves: Curves, at: float) -> float | None:
    """The best value at `at` of the finished runs that did not diverge; None if there is none."""
    over = (curves.status == "completed") | (curves.status == "censored")
    oriented = curves.metric.sign * values_at(curves, at)[over]
    oriented = oriented[~np.isnan(oriented)]
    return float(curves.metric.sign * oriented.max()) if len(oriented) else None


def compared_at(curves: Curves, at: float, forecast: Forecast) -> Forecast:
    """All runs at one time, in the order of `curves`: those that `forecast` holds by it, the others as they stood.

    Args:
        curves: The runs.
        at: The time.
        forecast: Of the runs that are `going`; its last time is `at`.
    """
    point = values_at(curves, at)[:, None]
    values = np.repeat(point[..., None], len(LEVELS), axis=-1)
    t = np.fmin(curves.padded().t_last, at)[:, None]
    place = {run: i for i, run in enumerate(curves.ids)}
    rows = np.array([place[run] for run in forecast.ids], dtype=np.int64)
    values[rows, 0], point[rows, 0], t[rows, 0] = forecast.values[:, -1], forecast.point[:, -1], at
    return replace(forecast, metric=curves.metric, ids=curves.ids, t=t, values=values, point=point, scalar=True)
