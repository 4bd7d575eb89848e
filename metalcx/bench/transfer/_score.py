"""Scores of one forecaster on one draw of one task, by the transfer protocol."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.stats import kendalltau

from metalcx.curves import Curves
from metalcx.curves._batch import FloatArray
from metalcx.protocol import LEVELS, SHARES, Forecast, Forecaster
from metalcx.transfer._tasks import Draw, PreparedTask, cut_times, draw, n_seen

CUTS = (0.1, 0.2, 0.4)
SUPPORT_SIZES = (0, 2, 5, 10, 20)
DRAWS = 5

#: Points of the remaining curve, the last among them, at which its CRPS is taken.
CURVE_POINTS = 5

#: Central intervals whose coverage is counted.
INTERVALS = (0.5, 0.8, 0.95)

Row = dict[str, Any]


def score_task(base: Forecaster, task: PreparedTask, number: int, whole_curve: bool = True) -> Iterator[Row]:
    """Rows of all draws, support sizes and cuts.

    Args:
        base: The forecaster, not adapted.
        task: What it is judged on.
        number: Seed of the draws: the task's place in the protocol.
        whole_curve: Whether to score the way to the final, too.
    """
    for d in range(DRAWS):
        drawn = draw(task, max(SUPPORT_SIZES), (number, d))
        for k in SUPPORT_SIZES:
            started = time.perf_counter()
            model = base.adapt(task.curves.take(drawn.support[:k])) if k else base
            spent = time.perf_counter() - started
            for cut in CUTS:
                head = {"draw": d, "K": k, "cut": cut, "by_group": drawn.by_group}
                yield head | _own_end(model, task, drawn, cut, whole_curve, spent)
                if task.ragged and k:
                    yield head | _common_end(model, task, drawn, k, cut)


def _own_end(model: Forecaster, task: PreparedTask, drawn: Draw, cut: float, whole_curve: bool, spent: float) -> Row:
    """Forecast each query at its own last t, and on the way there."""
    queries = task.curves.take(drawn.queries)
    at = _remaining_times(queries, cut, CURVE_POINTS if whole_curve else 1)
    truth = queries.padded().at(at)
    started = time.perf_counter()
    forecast = model.forecast(queries.truncate(cut_times(queries, cut)), at)
    spent += time.perf_counter() - started
    curve = crps(forecast, truth).mean() / task.scale if whole_curve else np.nan
    return {"end": "own", "crps_curve": curve, "seconds": spent} | _scores(_last(forecast), truth[:, -1], task.scale)


def _common_end(model: Forecaster, task: PreparedTask, drawn: Draw, k: int, cut: float) -> Row:
    """Forecast at the support's median last t, on queries that reached it."""
    end = float(np.median(task.curves.t_last[drawn.support[:k]]))
    queries = task.curves.take(drawn.queries)
    seen = cut_times(queries, cut)
    reached = (queries.t_last >= end) & (seen < end)
    row: Row = {"end": "common", "crps_curve": np.nan, "seconds": np.nan}
    if reached.sum() < 5:
        return row | {"n": int(reached.sum())}
    queries, seen = queries.take(reached), seen[reached]
    truth = _nearest(queries, end)
    return row | _scores(model.forecast(queries.truncate(seen), end), truth, task.scale)


def _remaining_times(queries: Curves, cut: float, points: int) -> FloatArray:
    """Times of `points` evenly spaced remaining points of each query, the last among them; shape (n, points)."""
    seen = n_seen(queries, cut)
    share = np.arange(1, points + 1) / points
    index = seen[:, None] - 1 + np.maximum(1, np.round(share * (queries.length - seen)[:, None])).astype(np.int64)
    return queries.t[queries.offsets[:-1, None] + np.minimum(index, queries.length[:, None] - 1)]


def _nearest(queries: Curves, t: float) -> FloatArray:
    distance = np.where(queries.padded().mask, np.abs(queries.padded().t - t), np.inf)
    return np.take_along_axis(queries.padded().y, distance.argmin(1)[:, None], 1)[:, 0]


def _last(forecast: Forecast) -> Forecast:
    return Forecast(
        forecast.metric, forecast.ids, forecast.t[:, -1:], forecast.values[:, -1:], forecast.point[:, -1:], True
    )


def _scores(forecast: Forecast, truth: FloatArray, scale: float) -> Row:
    tau = kendalltau(forecast.mean, truth).statistic if len(truth) > 2 else np.nan
    row = {
        "n": len(truth),
        "error": float(np.abs(forecast.mean - truth).mean() / scale),
        "tau": float(tau),
        "crps_final": float(crps(forecast, truth[:, None]).mean() / scale),
    }
    for share in INTERVALS:
        low, high = forecast.quantile((1 - share) / 2), forecast.quantile((1 + share) / 2)
        # A forecast that is exact to rounding covers what it names.
        slack = 1e-9 * scale
        row[f"cov{100 * share:.0f}"] = float(((truth >= low - slack) & (truth <= high + slack)).mean())
    return row


def crps(forecast: Forecast, truth: FloatArray) -> FloatArray:
    """Continuous ranked probability score by its quantile form (Gneiting and Ranjan 2011, eq. 3), shape (n, m)."""
    miss = truth[..., None] - forecast.values
    return 2.0 * (np.maximum(LEVELS * miss, (LEVELS - 1.0) * miss) @ SHARES)
