"""Peak accuracy forecast from histories of features, behind the protocol of all forecasters."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np

from metalcx.curves import Curves, Metric, PaddedCurves
from metalcx.errors import DataError
from metalcx.histories._calibration import Calibration, Posterior
from metalcx.histories._history import FloatArray, IntArray
from metalcx.histories._inputs import CHANCE, inputs_of, squeezed, stretched
from metalcx.histories._traits import TraitTable, skill
from metalcx.protocol import LEVELS, SHARES, At, Forecast, Forecaster, resolve_at

#: Squared errors of as many runs stand for what is believed of both experts before the support is seen.
PRIOR_RUNS = 4.0


@dataclass(frozen=True)
class HistoryForecaster:
    """Forecasts the peak accuracy so far from what features at early checkpoints say.

    Queries are curves of the peak accuracy so far (see `peak_so_far`), a metric with both bounds; their histories are
    looked up by run id. Only what a history held at a query's last time is read. Runs without a history, and metrics
    without both bounds, are forecast by `curve`.

    Args:
        curve: Forecasts from the curve alone.
        calibration: What other datasets taught; their families must not be the target's.
        histories: Traits by run id.
        blend: Whether the curve's forecast is mixed in, by the errors that both made on runs of the support left out.
        support: Finished runs of the task.
    """

    curve: Forecaster
    calibration: Calibration = field(repr=False)
    histories: TraitTable = field(repr=False)
    blend: bool = False
    support: Curves | None = field(default=None, repr=False)

    def adapt(self, support: Curves, *, steps: int | None = None, seed: int = 0) -> Self:
        """A new forecaster that knows `support`; see `metalcx.protocol.Forecaster.adapt`."""
        return replace(self, curve=self.curve.adapt(support, steps=steps, seed=seed), support=support)

    def forecast(self, queries: Curves, at: At) -> Forecast:
        """The distribution of each query at `at`; see `metalcx.protocol.Forecaster.forecast`."""
        if queries.metric.lower is None or queries.metric.upper is None:
            return self.curve.forecast(queries, at)
        if queries.metric.sign < 0:
            support = None if self.support is None else self.support.mirrored()
            upright = replace(self, curve=_Mirrored(self.curve), support=support)
            return upright.forecast(queries.mirrored(), at).mirrored()
        by_curve = self.curve.forecast(queries, at)
        times, _ = resolve_at(queries, at)
        prefix = queries.padded()
        traits = self.histories.many(queries.ids, prefix.t_last)
        known = ~np.isnan(traits[:, CHANCE]) & ~prefix.diverged & (prefix.length > 0)
        rows, columns = np.nonzero(known[:, None] & (times > prefix.t_last[:, None]))
        if not len(rows):
            return by_curve
        values, point = by_curve.values.copy(), by_curve.point.copy()
        asked = _Asked(prefix, traits[rows], rows, times[rows, columns])
        point[rows, columns], values[rows, columns] = self._peaks(asked, queries.metric, by_curve, columns)
        return replace(by_curve, values=values, point=point)

    def _peaks(
        self, asked: _Asked, metric: Metric, by_curve: Forecast, columns: IntArray
    ) -> tuple[FloatArray, FloatArray]:
        """Point (b,) and quantiles (b, levels), in the metric's unit."""
        chance, best = asked.traits[:, CHANCE], asked.best
        quantiles = np.empty((len(chance), len(LEVELS)))
        share = np.ones(len(chance))
        # Queries seen to the same time and asked for the same share one support, as it was then.
        pairs, code = np.unique(np.column_stack([asked.t_last, asked.t]), axis=0, return_inverse=True)
        for i, (t_cut, t_end) in enumerate(pairs):
            mine = np.flatnonzero(code.ravel() == i)
            posterior, truth = self._posterior(metric, float(t_cut), float(t_end))
            quantiles[mine] = posterior.predict(asked.take(mine).inputs(metric))[1]
            if self.blend:
                share[mine] = self._share(posterior, truth, float(t_cut), float(t_end))
        skills = squeezed(quantiles)
        values = _unit(metric, chance[:, None] + (1.0 - chance[:, None]) * skills)
        other = by_curve.values[asked.rows, columns]
        values = share[:, None] * values + (1.0 - share[:, None]) * other
        values = np.maximum(values, best[:, None])
        return np.clip(values @ SHARES, values[:, 0], values[:, -1]), values

    def _posterior(self, metric: Metric, t_cut: float, t_end: float) -> tuple[Posterior, Curves | None]:
        """The calibration after the support as it stood at `t_cut` and came out by `t_end`, and the runs used."""
        none = self.calibration.conditioned(np.empty((0, len(self.calibration.middle[0]) - 1)), np.empty(0))
        if self.support is None or not len(self.support):
            return none, None
        whole = self.support.padded()
        traits = self.histories.many(self.support.ids, t_cut)
        usable = ~np.isnan(traits[:, CHANCE]) & (whole.t_last > t_cut) & (whole.t[:, 0] <= t_cut)
        rows = np.flatnonzero(usable)
        if not len(rows):
            return none, None
        runs = self.support.take(rows)
        traits = traits[rows]
        seen = runs.truncate(t_cut).padded()
        asked = _Asked(seen, traits, np.arange(len(rows)), np.full(len(rows), t_end))
        # A run that ended before counts with the peak it had.
        final = _fraction(metric, runs.padded().at(np.minimum(t_end, runs.padded().t_last)[:, None])[:, 0])
        z = stretched(skill(final, traits[:, CHANCE]))
        return self.calibration.conditioned(asked.inputs(metric), z), runs

    def _share(self, posterior: Posterior, runs: Curves | None, t_cut: float, t_end: float) -> float:
        """Share of the history in the mixture, by squared errors on runs of the support, each left out in turn."""
        if runs is None or len(runs) < 3 or self.support is None:
            return 0.5
        traits = self.histories.many(runs.ids, t_cut)
        chance, metric = traits[:, CHANCE], runs.metric
        peak = runs.padded().at(np.minimum(t_end, runs.padded().t_last)[:, None])[:, 0]
        mine = _unit(metric, chance + (1.0 - chance) * squeezed(posterior.left_out()))
        others = [self.support.take(self.support.ids != run) for run in runs.ids]
        asked = runs.truncate(t_cut)
        theirs = [self.curve.adapt(rest).forecast(asked.take([i]), t_end).mean[0] for i, rest in enumerate(others)]
        square = np.array([((mine - peak) ** 2).sum(), ((np.array(theirs) - peak) ** 2).sum()])
        square += PRIOR_RUNS * square.mean() / len(runs)
        return float(square[1] / square.sum()) if square.sum() > 0 else 0.5


@dataclass(frozen=True)
class _Asked:
    """Forecasts that are asked for: b of them, about runs of `prefix`."""

    prefix: PaddedCurves
    traits: FloatArray
    rows: IntArray
    t: FloatArray

    @property
    def t_last(self) -> FloatArray:
        return self.prefix.t_last[self.rows]

    @property
    def best(self) -> FloatArray:
        return self.prefix.y.max(1)[self.rows]

    def inputs(self, metric: Metric) -> FloatArray:
        """Of the calibration; the network's own accuracy at the last checkpoint stands for the last accuracy."""
        chance = self.traits[:, CHANCE]
        own = chance + (1.0 - chance) * self.traits[:, 0]
        return inputs_of(self.traits, own, _fraction(metric, self.best), self.t_last / self.t)

    def take(self, index: IntArray) -> _Asked:
        return _Asked(self.prefix, self.traits[index], self.rows[index], self.t[index])


@dataclass(frozen=True)
class _Mirrored:
    """A forecaster of the negated metric."""

    inner: Forecaster

    def adapt(self, support: Curves, *, steps: int | None = None, seed: int = 0) -> _Mirrored:
        return _Mirrored(self.inner.adapt(support.mirrored(), steps=steps, seed=seed))

    def forecast(self, queries: Curves, at: At) -> Forecast:
        return self.inner.forecast(queries.mirrored(), at).mirrored()


def peak_so_far(curves: Curves, name: str = "peak_accuracy") -> Curves:
    """Curves of the best value so far of a bounded accuracy.

    Raises:
        DataError: If the metric lacks a bound, or lower values are better.
    """
    metric = curves.metric
    if metric.goal != "max" or metric.lower is None or metric.upper is None:
        raise DataError(f"a peak is that of an accuracy with both bounds, as in val_accuracy:max:0:1; got {metric}")
    best = np.where(np.isfinite(curves.y), curves.y, -np.inf)
    for start, end in zip(curves.offsets[:-1], curves.offsets[1:], strict=True):
        best[start:end] = np.maximum.accumulate(best[start:end])
    # A run that diverged keeps the peak it had.
    values = {name: np.where(np.isfinite(best), best, np.nan)}
    status = np.where(curves.status == "diverged", "completed", curves.status).astype(object)
    peak = replace(metric, name=name)
    return replace(curves, metric=peak, metrics=(peak,), values=values, status=status)


def _fraction(metric: Metric, value: FloatArray) -> FloatArray:
    assert metric.lower is not None
    assert metric.upper is not None
    return (value - metric.lower) / (metric.upper - metric.lower)


def _unit(metric: Metric, fraction: FloatArray) -> FloatArray:
    assert metric.lower is not None
    assert metric.upper is not None
    return metric.lower + (metric.upper - metric.lower) * fraction
