"""Rules on the distributions that come out: mirrored, ordered, bounded, certain of what is known.

The docstring of a rule is the sentence that an error shows.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from metalcx.curves import Curves
from metalcx.testing._synthetic import ACCURACY, LOSS, diverge, with_y
from metalcx.testing._trial import HORIZON, Broken, Trial, certain, require


def quantiles(trial: Trial) -> None:
    """Quantiles ascend with their level."""
    for got in trial.situations:
        step = 1e-12 * np.abs(got.values).max(-1, keepdims=True)
        ordered = (np.diff(got.values, axis=-1) >= -step).all(-1)
        require(ordered, got, "quantiles do not ascend", "reversed levels under `min` metrics, crossing outputs")


def mean(trial: Trial) -> None:
    """The mean lies between the lowest and the highest quantile: beyond them a Forecast has no mass."""
    for got in trial.situations:
        low, high = got.values[..., 0], got.values[..., -1]
        step = 1e-9 * np.maximum(np.abs(low), np.abs(high))
        good = (got.point >= low - step) & (got.point <= high + step)
        require(good, got, "the mean is outside the quantiles", "a point that comes from elsewhere than the quantiles")


def bounds(trial: Trial) -> None:
    """Mean and quantiles lie within the bounds that the metric declares."""
    for got in trial.situations:
        bad = got.metric.outside(got.values).any(-1) | got.metric.outside(got.point)
        what = f"mean or quantile outside [{got.metric.lower}, {got.metric.upper}]"
        require(~bad, got, what, "`Metric.clip`, after scaling back")


def finite(trial: Trial) -> None:
    """Mean and quantiles of a run that has not diverged are finite."""
    for got in trial.situations:
        good = np.isfinite(got.point) & np.isfinite(got.values).all(-1)
        require(good, got, "mean or quantile is not finite", "logarithms, divisions by a spread, and overflow")


def mirror(trial: Trial) -> None:
    """Forecasting a metric and mirroring is forecasting the mirrored metric: mean, quantiles and prob_better."""
    look = "anything that treats `max` and `min` apart beyond `Metric.sign`"
    for metric in (ACCURACY, LOSS):
        support, queries = trial.support_of(metric), trial.queries_of(metric)
        got = trial.forecaster.adapt(support).forecast(queries, HORIZON)
        other = trial.forecaster.adapt(support.mirrored()).forecast(queries.mirrored(), HORIZON)
        trial.same(other.mirrored(), got, look)
        than = support.best()
        gap = np.abs(other.prob_better(-than) - got.prob_better(than))[:, None]
        # A probability moves much where the density is high: it is held more loosely than the quantiles.
        require(gap <= 0.01, got, f"prob_better({than:.4g}) differs by {gap.max():.4g} when mirrored", look)


def observed(trial: Trial) -> None:
    """At a time already measured the forecast is the measured value, with certainty."""
    queries, length = trial.queries, trial.queries.length
    places = queries.offsets[:-1, None] + np.stack([np.zeros_like(length), length // 2, length - 1], 1)
    got = trial.adapted.forecast(queries, queries.t[places])
    certain(got, queries.y[places], "times at or before the last observed one", trial.tolerance)


def diverged_query(trial: Trial) -> None:
    """A query that has diverged has all its mass on `Metric.worst`, and its batch mates do not notice."""
    after = [None, 3, None, 1, 0]
    for metric in (ACCURACY, LOSS):
        adapted = trial.forecaster.adapt(trial.support_of(metric))
        queries = trial.queries_of(metric)
        got = adapted.forecast(diverge(queries, after), HORIZON)
        dead = np.array([k is not None for k in after])
        certain(got.take(dead), metric.worst, "runs whose status is `diverged`")
        alone = adapted.forecast(queries.take(~dead), HORIZON)
        trial.same(got.take(~dead), alone, "infinities that spread over the batch")


def time_unit(trial: Trial) -> None:
    """Counting time in another unit changes no forecast."""
    for factor in (1000.0, 1e-3):

        def scaled(curves: Curves, factor: float = factor) -> Curves:
            return replace(curves, t=curves.t * factor)

        support = diverge(trial.support, [None, 5, None, 1, None])
        expected = trial.forecaster.adapt(support).forecast(trial.queries, HORIZON)
        got = trial.forecaster.adapt(scaled(support)).forecast(scaled(trial.queries), HORIZON * factor)
        got = replace(got, t=expected.t)
        look = f"constants in units of time (times were multiplied by {factor:g})"
        trial.same(got, expected, look, max(trial.tolerance, 1e-6))


def determinism(trial: Trial) -> None:
    """The same support and seed give the same forecast, to the last bit."""
    again = [trial.forecaster.adapt(trial.support, seed=trial.seed) for _ in range(2)]
    first, second = (model.forecast(trial.queries, HORIZON) for model in again)
    trial.same(second, first, "random numbers drawn without the seed in `adapt`", 0.0)
    third = again[1].forecast(trial.queries, HORIZON)
    trial.same(third, first, "random numbers drawn, or state kept, in `forecast`", 0.0)


def extreme(trial: Trial) -> None:
    """Values of extreme size are forecast like others: large, small, and single spikes."""
    support, queries = trial.support_of(LOSS), trial.queries_of(LOSS)
    for factor in (1e12, 1e-12):
        adapted = trial.forecaster.adapt(with_y(support, support.y * factor))
        got = trial.usable(with_y(queries, queries.y * factor), forecaster=adapted)
        spread = np.abs(got.point) / (factor * 3.0)
        require(spread < 1e3, got, f"a mean far from values of about {factor:g}", "absolute constants beside values")
    spike = np.arange(len(queries.t)) == queries.offsets[1]
    for known in (support, support.take([])):
        adapted = trial.forecaster.adapt(known)
        trial.usable(with_y(queries, np.where(spike, 1e15, queries.y)), forecaster=adapted)
    spike = np.arange(len(support.t)) == 2
    trial.usable(queries, forecaster=trial.forecaster.adapt(with_y(support, np.where(spike, 1e15, support.y))))


def metric_kept(trial: Trial) -> None:
    """The forecast carries the metric of the queries and the times that were asked for."""
    got = trial.expected
    if got.metric != trial.queries.metric:
        raise Broken(f"metric {got.metric}, expected {trial.queries.metric}. Look at: how the Forecast is built")
    if not (got.t == HORIZON).all():
        raise Broken(f"times {np.unique(got.t)}, expected {HORIZON}. Look at: how the Forecast is built")


RULES = (
    quantiles, mean, bounds, finite, mirror, observed, diverged_query, time_unit, determinism, extreme, metric_kept,
)  # fmt: skip
