"""What every forecaster must do, and what it gives back.

Ranking, stopping, benchmarks, reports and hosts know this module and no forecaster.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt

from metalcx.curves import Curves, Metric
from metalcx.errors import DataError, name_some

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FRAME_LEVELS", "LEVELS", "SHARES", "At", "Forecast", "Forecaster", "resolve_at"]

FloatArray = npt.NDArray[np.float64]

#: Times asked for: a number, a 1-d array of times common to all runs, a 2-d array (runs, times) of
#: own times, or a mapping (or pandas Series) from run id to one number a run.
At = float | npt.ArrayLike | Mapping[Any, float]

#: Levels at which a `Forecast` stores its quantiles: symmetric about one half, ascending.
LEVELS: FloatArray = np.array(
    [0.005, 0.01, 0.025, *(i / 20 for i in range(1, 20)), 0.975, 0.99, 0.995], dtype=np.float64
)

#: Probability for which each level stands in an integral over levels, such as the mean of a forecast.
SHARES: FloatArray = np.diff(np.concatenate([[0.0], (LEVELS[1:] + LEVELS[:-1]) / 2, [1.0]]))

#: Levels that `Forecast.to_frame` writes.
FRAME_LEVELS = (0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975)


@runtime_checkable
class Forecaster(Protocol):
    """Forecasts partial curves of a task after seeing a few of its complete ones.

    `metalcx.testing.check_forecaster` tries the rules that an implementation keeps: the forecast of
    a run depends on nothing but its own past and the support; forecasting a mirrored metric mirrors
    the forecast; quantiles ascend; zero support, one point and diverged runs are ordinary input.
    """

    def adapt(self, support: Curves, *, steps: int | None = None, seed: int = 0) -> Self:
        """A new forecaster that knows `support`; this one is left as it was.

        Args:
            support: Completed, diverged and censored runs of the task; may be empty.
            steps: Gradient steps where the forecaster takes any; None lets it choose.
            seed: For forecasters whose adaptation draws random numbers.
        """
        ...

    def forecast(self, queries: Curves, at: At) -> Forecast:
        """The distribution of each query's value at the times `at`."""
        ...


@dataclass(frozen=True, eq=False)
class Forecast:
    """A predictive distribution for every run and time, stored as quantiles at `LEVELS`.

    Between the levels the quantile function is linear; beyond the outer ones it is constant; between a
    finite and an infinite one all mass is on the infinity. A run known to have diverged has all its
    mass on `Metric.worst`; a time already observed has all its mass on the observation.

    Attributes:
        metric: What is forecast, in whose unit all values are.
        ids: Run ids, shape (n,).
        t: Times, shape (n, m).
        values: Quantiles, shape (n, m, len(LEVELS)), ascending along the last axis.
        point: The expected value, shape (n, m).
        scalar: Whether one time a run was asked for: then results have shape (n,) instead of (n, m).
    """

    metric: Metric
    ids: npt.NDArray[np.object_]
    t: FloatArray
    values: FloatArray = field(repr=False)
    point: FloatArray = field(repr=False)
    scalar: bool = False

    def __post_init__(self) -> None:
        expected = (len(self.ids), self.t.shape[-1], len(LEVELS))
        if self.values.shape != expected or self.point.shape != expected[:2] or self.t.shape != expected[:2]:
            raise DataError(
                f"a forecast of {expected[0]} runs needs values of shape {expected}, point and t of {expected[:2]}; "
                f"got {self.values.shape}, {self.point.shape} and {self.t.shape}"
            )

    def __len__(self) -> int:
        return len(self.ids)

    def _shaped(self, values: FloatArray) -> FloatArray:
        return values[:, 0] if self.scalar else values

    @property
    def mean(self) -> FloatArray:
        """Expected value, shape (n,) or (n, m)."""
        return self._shaped(self.point)

    @property
    def median(self) -> FloatArray:
        """The 50 % quantile, shape (n,) or (n, m)."""
        return self.quantile(0.5)

    def quantile(self, level: float | npt.ArrayLike) -> FloatArray:
        """Quantiles at one level, shape (n,) or (n, m), or at several, with a last axis for them.

        Raises:
            DataError: If a level is not strictly between 0 and 1.
        """
        levels = np.atleast_1d(np.asarray(level, dtype=np.float64))
        if not ((levels > 0) & (levels < 1)).all():
            raise DataError(f"quantile levels lie strictly between 0 and 1; got {level!r}")
        result = self._shaped(_at_levels(self.values, levels))
        return result[..., 0] if np.ndim(level) == 0 else result

    def cdf(self, y: float | npt.ArrayLike) -> FloatArray:
        """P(value <= y), shape (n,) or (n, m); `y` is a number or has that shape.

        The mass between two levels is spread evenly between their quantiles; that beyond the outer levels sits on them.

        Raises:
            DataError: If `y` has another shape, or holds NaN.
        """
        threshold = self._compared(y)
        at_or_below = (self.values <= threshold).sum(-1)
        low = np.maximum(at_or_below - 1, 0)[..., None]
        high = np.minimum(at_or_below, len(LEVELS) - 1)[..., None]
        q0, q1 = np.take_along_axis(self.values, low, -1), np.take_along_axis(self.values, high, -1)
        # Between minus infinity and a number all mass is on the infinity, so that it lies below any number.
        share = np.where(np.isneginf(q0) & (q1 > q0), 1.0, 0.0)
        # Halves, because the difference of two large numbers may overflow.
        with np.errstate(invalid="ignore"):
            rise, run = threshold / 2 - q0 / 2, q1 / 2 - q0 / 2
        np.divide(rise, run, out=share, where=np.isfinite(run) & (run > 0))
        inside = (LEVELS[low] + share * (LEVELS[high] - LEVELS[low]))[..., 0]
        result = np.where(at_or_below == 0, 0.0, np.where(at_or_below == len(LEVELS), 1.0, inside))
        return self._shaped(result)

    def _compared(self, y: float | npt.ArrayLike) -> FloatArray:
        """`y` as shape (n, m, 1)."""
        given = np.asarray(y, dtype=np.float64)
        if np.isnan(given).any():
            raise DataError("a value to compare with is NaN; give numbers or infinities")
        try:
            return np.broadcast_to(given, self.mean.shape).reshape(self.point.shape)[..., None]
        except ValueError:
            raise DataError(f"values of shape {given.shape} fit no forecast of shape {self.mean.shape}") from None

    def sample(self, n: int, seed: int = 0) -> FloatArray:
        """Draws, shape (n, runs) or (n, runs, m).

        A run's draw uses one uniform number for all its times, so that it is a whole possible
        curve that stays at its own quantile; runs are independent.

        Raises:
            DataError: If `n` is below 1.
        """
        if n < 1:
            raise DataError(f"sample needs at least one draw; got n={n}")
        uniform = np.random.default_rng(seed).random((n, len(self.ids)))
        low, high, share = _neighbours(uniform)
        run = np.arange(len(self.ids))
        # Two advanced indices around a slice: the result has shape (n, runs, m).
        draws = _mix(self.values[run, :, low], self.values[run, :, high], share[..., None])
        return draws[..., 0] if self.scalar else draws

    def prob_better(self, than: float | npt.ArrayLike) -> FloatArray:
        """P(value is better than `than`), shape (n,) or (n, m); better follows the metric's goal.

        Raises:
            DataError: If `than` is neither a number nor of that shape, or holds NaN.
        """
        if self.metric.goal == "max":
            return 1.0 - self.cdf(than)
        return 1.0 - self.mirrored().cdf(-np.asarray(than, dtype=np.float64))

    def mirrored(self) -> Forecast:
        """The forecast of the negated metric."""
        return replace(self, metric=self.metric.mirrored(), values=-self.values[..., ::-1], point=-self.point)

    def take(self, index: npt.ArrayLike) -> Forecast:
        """The runs at `index` (positions or a boolean mask), in that order."""
        rows = np.asarray(index)
        return replace(self, ids=self.ids[rows], t=self.t[rows], values=self.values[rows], point=self.point[rows])

    def to_frame(self) -> pd.DataFrame:
        """One row a run and time: ``run, t, mean, q0.025 ... q0.975``, the columns of `metalcx forecast`."""
        import pandas as pd

        n, m = self.t.shape
        quantiles = _at_levels(self.values, np.array(FRAME_LEVELS)).reshape(n * m, len(FRAME_LEVELS))
        columns = {"run": np.repeat(self.ids, m), "t": self.t.ravel(), "mean": self.point.ravel()}
        columns |= {f"q{level:g}": quantiles[:, i] for i, level in enumerate(FRAME_LEVELS)}
        return pd.DataFrame(columns).infer_objects()


def _neighbours(levels: FloatArray) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], FloatArray]:
    """Stored levels below and above each of `levels`, and how far it lies between them; all of its shape."""
    place = np.interp(levels, LEVELS, np.arange(len(LEVELS)))
    low = np.floor(place).astype(np.int64)
    return low, np.minimum(low + 1, len(LEVELS) - 1), place - low


def _mix(low: FloatArray, high: FloatArray, share: FloatArray) -> FloatArray:
    """From ``low`` to ``high`` by `share`, never outside them; infinite where either is and `share` is above 0."""
    with np.errstate(invalid="ignore"):
        # Weighted apart, because the difference of two large numbers may overflow.
        mixed = np.clip((1.0 - share) * low + share * high, low, high)
    # A whole place is read off, not computed: 0 times an infinity would be NaN.
    return np.where((share == 0) | (low == high) | np.isneginf(low), low, mixed)


def _at_levels(values: FloatArray, levels: FloatArray) -> FloatArray:
    """Quantiles at `levels`, shape (k,), from those stored along the last axis: shape (..., k)."""
    low, high, share = _neighbours(levels)
    return _mix(values[..., low], values[..., high], share)


def resolve_at(queries: Curves, at: At) -> tuple[FloatArray, bool]:
    """Times of shape (n, m) for the queries, and whether there is one a run.

    Raises:
        DataError: If a time is not a finite number, a run has none, or the shape fits nothing.
    """
    own = _own_times(queries, at) if hasattr(at, "items") else at
    try:
        given = np.asarray(own, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(f"at: {at!r:.80} is not numbers; give a number, an array, or one number a run id") from None
    if given.ndim > 2 or (given.ndim > 0 and given.shape[-1] == 0):
        raise DataError(f"at of shape {given.shape} fits nothing; give a number, a 1-d or a (runs, times) array")
    if given.ndim == 2 and len(given) != len(queries):
        raise DataError(f"at has {len(given)} rows for {len(queries)} runs; give one row a run")
    times = np.broadcast_to(given, (len(queries), given.shape[-1] if given.ndim else 1)).copy()
    bad = ~np.isfinite(times).all(axis=1)
    if bad.any():
        raise DataError(f"at: a time of runs {name_some(queries.ids[bad])} is not finite; give numbers")
    return times, given.ndim == 0 or (given.ndim == 2 and given.shape[1] == 1)


def _own_times(queries: Curves, at: Any) -> npt.NDArray[np.object_]:
    """One time a run from a mapping or Series, shape (n, 1)."""
    own = dict(at.items())
    missing = [i for i in queries.ids if i not in own]
    if missing:
        raise DataError(f"at: no time for runs {name_some(missing)}; give one number for each run id")
    return np.array([own[i] for i in queries.ids], dtype=object).reshape(-1, 1)
