"""The curves on which a forecaster is tried, and the comparisons that rules are made of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from metalcx.curves import Curves, Metric
from metalcx.errors import name_some
from metalcx.protocol import LEVELS, At, Forecast, Forecaster
from metalcx.testing._synthetic import ACCURACY, LOSS, FloatArray, diverge, synthetic_curves, with_y

#: Points of a completed synthetic run, whose times are 1, 2, ..., HORIZON.
HORIZON = 20
#: Points that each query has shown.
CUTS = (3.0, 8.0, 5.0, 12.0, 8.0)


class Broken(Exception):  # noqa: N818 - the runner turns it into a ForecasterRuleError
    """A rule that does not hold; the message names runs, got, expected and what to look at."""


@dataclass(frozen=True)
class Trial:
    """A forecaster under trial, on a small ordinary task.

    Args:
        forecaster: A base: not adapted yet.
        seed: Of the synthetic curves.
        tolerance: Largest difference between forecasts that should be equal, as a share of the values' range.
    """

    forecaster: Forecaster
    seed: int
    tolerance: float

    def support_of(self, metric: Metric, n: int = 5) -> Curves:
        """`n` completed runs."""
        return synthetic_curves(n, HORIZON, metric=metric, seed=self.seed, prefix="s")

    def runs_of(self, metric: Metric) -> Curves:
        """The queries as they went on, complete."""
        return synthetic_curves(len(CUTS), HORIZON, metric=metric, seed=self.seed + 1, prefix="q")

    def queries_of(self, metric: Metric) -> Curves:
        """Five runs, seen up to `CUTS`."""
        return self.runs_of(metric).truncate(CUTS)

    @cached_property
    def support(self) -> Curves:
        """Five completed runs of an accuracy."""
        return self.support_of(ACCURACY)

    @cached_property
    def queries(self) -> Curves:
        """Five running runs of an accuracy."""
        return self.queries_of(ACCURACY)

    @cached_property
    def adapted(self) -> Forecaster:
        """The forecaster, adapted to `support`."""
        return self.forecaster.adapt(self.support)

    @cached_property
    def expected(self) -> Forecast:
        """What `adapted` says about `queries` at the horizon."""
        return self.adapted.forecast(self.queries, HORIZON)

    @cached_property
    def situations(self) -> list[Forecast]:
        """Forecasts in situations of many kinds, each at one near and one far time."""
        made = []
        for metric in (ACCURACY, LOSS):
            support, queries = self.support_of(metric), self.queries_of(metric)
            # A hundredth of the way from the best value there is: the distribution presses against the bound.
            best = 1.0 if metric.goal == "max" else 0.0
            close = with_y(queries, best + 0.01 * (queries.y - best))
            diverged = diverge(support, [3, None, 1, None, None])
            for known in (support.take([]), support.take([0]), support, diverged):
                adapted = self.forecaster.adapt(known)
                made += [
                    adapted.forecast(asked, [13.0, 4.0 * HORIZON]) for asked in (queries, queries.truncate(0.0), close)
                ]
        return made

    def same(self, got: Forecast, expected: Forecast, look: str, tolerance: float | None = None) -> None:
        """Both forecasts are equal, run by run.

        Raises:
            Broken: Naming the runs that differ and the largest difference.
        """
        if got.values.shape != expected.values.shape:
            raise Broken(f"a forecast of shape {got.values.shape}, expected {expected.values.shape}. Look at: {look}")
        share = self.tolerance if tolerance is None else tolerance
        scale = share * _range(expected.values)
        a = np.concatenate([got.point[..., None], got.values], -1)
        b = np.concatenate([expected.point[..., None], expected.values], -1)
        bad = ~np.isclose(a, b, rtol=share, atol=scale)
        differ(bad, a, b, got, look)

    def usable(self, queries: Curves, at: At = float(HORIZON), forecaster: Forecaster | None = None) -> Forecast:
        """The forecast of `queries`, which has the right shape and is finite for every run.

        Raises:
            Broken: Naming the runs for which it is not.
        """
        result = (self.adapted if forecaster is None else forecaster).forecast(queries, at)
        if len(result) != len(queries):
            raise Broken(
                f"a forecast of {len(result)} runs, expected {len(queries)}. Look at: what becomes of single runs"
            )
        finite = np.isfinite(result.point) & np.isfinite(result.values).all(-1)
        require(finite, result, "a mean or quantile is not finite", "logarithms, divisions by a spread, and overflow")
        return result


def _range(values: FloatArray) -> float:
    finite = values[np.isfinite(values)]
    return float(np.ptp(finite)) if len(finite) else 1.0


def differ(bad: np.ndarray, got: FloatArray, expected: FloatArray, forecast: Forecast, look: str) -> None:
    """Raise `Broken` with the largest difference among `bad` (n, m, 1 + levels: the mean, then the quantiles)."""
    if not bad.any():
        return
    with np.errstate(invalid="ignore"):
        gap = np.where(bad, np.nan_to_num(np.abs(got - expected), nan=np.inf), -1.0)
    i, j, k = np.unravel_index(int(np.argmax(gap)), bad.shape)
    what = "mean" if k == 0 else f"{LEVELS[k - 1]:g} quantile"
    others = forecast.ids[bad.any((1, 2)) & (np.arange(len(bad)) != i)]
    also = f" (also runs {name_some(others)})" if len(others) else ""
    raise Broken(
        f"run {forecast.ids[i]!r} at t={forecast.t[i, j]:g}: {what} is {got[i, j, k]:.8g}, "
        f"expected {expected[i, j, k]:.8g}{also}. Look at: {look}"
    )


def require(good: np.ndarray, forecast: Forecast, what: str, look: str) -> None:
    """Raise `Broken` unless `good`, shape (n, m), is true everywhere."""
    if good.all():
        return
    i, j = np.argwhere(~good)[0]
    runs = name_some(forecast.ids[~good.all(1)])
    shown = (
        f"mean {forecast.point[i, j]:.8g}, quantiles {forecast.values[i, j, 0]:.8g} ... {forecast.values[i, j, -1]:.8g}"
    )
    raise Broken(f"runs {runs}: {what}; first at t={forecast.t[i, j]:g}: got {shown}. Look at: {look}")


def column(forecast: Forecast, j: int) -> Forecast:
    """The forecast at the j-th of its times alone."""
    at = slice(j, j + 1)
    return replace(
        forecast, t=forecast.t[:, at], point=forecast.point[:, at], values=forecast.values[:, at], scalar=True
    )


def certain(forecast: Forecast, value: FloatArray | float, look: str, tolerance: float = 0.0) -> None:
    """All mass of each run and time is on `value`, shape (n, m) or a scalar."""
    got = np.concatenate([forecast.point[..., None], forecast.values], -1)
    expected = np.broadcast_to(np.asarray(value, dtype=np.float64).reshape(*np.shape(value), 1), got.shape)
    scale = tolerance * _range(expected)
    differ(~np.isclose(got, expected, rtol=tolerance, atol=scale), got, expected, forecast, look)
