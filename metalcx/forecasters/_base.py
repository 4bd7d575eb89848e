"""What all forecasters share: orientation, divergence, bounds and times, so that each holds one idea.

A forecaster computes in oriented space, where higher is better and values are finite; the base
turns queries into that space and distributions back. Because the base only mirrors signs and
treats each run by itself, the rules on mirrored metrics, divergence, times already observed and
batch mates hold for every forecaster that keeps to its rows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from metalcx.curves import Curves, Metric, PaddedCurves
from metalcx.curves._batch import FloatArray, IntArray
from metalcx.errors import DataError, name_some
from metalcx.protocol import LEVELS, At, Forecast, resolve_at

#: Standard normal quantiles at `LEVELS`.
NORMAL = np.asarray(ndtri(LEVELS), dtype=np.float64)

#: Runs that are forecast at once: what is computed on the way then fits in caches, and memory does not grow with runs.
PIECE = 1024

#: A support of which as many distinct beginnings are forecast at once as runs. What a beginning takes grows with the
#: square of the support: each of its runs is compared with each other.
USUAL = 20


@dataclass(frozen=True)
class Support:
    """Completed curves of a task in oriented space.

    Attributes:
        curves: Padded oriented values, not below `floor`; a diverged run ends at `floor`.
        metric: The metric they measure, or None for no support at all.
        floor: Values worse than this say no more than this, as in the transfer protocol:
            ``init - 3 (best - init)`` with init the median first and best the best value.
        source: The curves as given, for forecasters that use configurations or architectures.
    """

    curves: PaddedCurves
    metric: Metric | None = None
    floor: float = -np.inf
    source: Curves | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.curves)

    @classmethod
    def empty(cls) -> Support:
        """No support: K = 0."""
        none = np.empty((0, 1))
        return cls(PaddedCurves(none, none, np.empty(0, dtype=np.int64), np.empty(0, dtype=bool)))

    @classmethod
    def of(cls, curves: Curves) -> Support:
        """Orient `curves`, leaving out runs without any finite value.

        Raises:
            DataError: If a run is still running.
        """
        running = curves.status == "running"
        if running.any():
            raise DataError(
                f"support runs {name_some(curves.ids[running])} are still running; adapt takes completed, diverged and "
                "censored runs (Curves.finished())"
            )
        padded = _oriented(curves)
        used = padded.length > 0
        if not used.any():
            return replace(cls.empty(), metric=curves.metric)
        padded, source = padded.take(used), curves.take(used)
        floor = floor_of(padded)
        return cls(_end_at_floor(padded, floor, _t_broken(source, padded)), curves.metric, floor, source)


def floor_from(first: FloatArray, best: float) -> float:
    """``init - 3 (best - init)``, init being the median of first values: what is worse than this says no more.

    All are oriented: higher is better.
    """
    init = float(np.median(first))
    return init - 3.0 * max(float(best) - init, 0.0)


def floor_of(curves: PaddedCurves) -> float:
    """`floor_from` the first values and the best of all `curves` (oriented)."""
    return floor_from(curves.first, float(curves.y.max()))


def _oriented(curves: Curves) -> PaddedCurves:
    padded = curves.padded()
    return padded.with_values(curves.metric.sign * padded.y)


def _t_broken(curves: Curves, padded: PaddedCurves) -> FloatArray:
    """Time of the point after each run's last finite value, where it diverged if it did; shape (n,).

    Where no such point is recorded, one step on; after a single point, as long again as it took.
    """
    seen = np.bincount(curves.owner[curves.t <= padded.t_last[curves.owner]], minlength=len(curves))
    recorded = np.append(curves.t, np.nan)[curves.offsets[:-1] + seen]
    previous = padded.t[np.arange(len(padded)), np.maximum(padded.length - 2, 0)]
    alone = np.where(padded.t_last == 0, 1.0, np.abs(padded.t_last))
    step = np.where(padded.length > 1, padded.t_last - previous, alone)
    return np.where(seen < curves.length, recorded, padded.t_last + step)


def _end_at_floor(curves: PaddedCurves, floor: float, t_broken: FloatArray) -> PaddedCurves:
    """Append to each diverged curve a last point at `floor`, at the time it diverged."""
    y = np.maximum(curves.y, floor)
    if not curves.diverged.any():
        return curves.with_values(y)
    t = np.column_stack([curves.t, curves.t_last])
    y = np.column_stack([y, y[:, -1]])
    beyond = curves.diverged[:, None] & (np.arange(t.shape[1]) >= curves.length[:, None])
    t = np.where(beyond, t_broken[:, None], t)
    return PaddedCurves(t, np.where(beyond, floor, y), curves.length + curves.diverged, curves.diverged)


@dataclass(frozen=True)
class BaseForecaster(ABC):
    """A forecaster that computes in oriented space, one row a run and time.

    Subclasses implement `_predict`, and override `_fitted` if they compute something once per support.
    """

    support: Support = field(default_factory=Support.empty, kw_only=True, repr=False)

    def adapt(self, support: Curves, *, steps: int | None = None, seed: int = 0) -> Self:
        """A new forecaster that knows `support`; see `metalcx.protocol.Forecaster.adapt`."""
        return replace(self, support=Support.of(support))._fitted(steps, seed)

    def _fitted(self, steps: int | None, seed: int) -> Self:
        return self

    def forecast(self, queries: Curves, at: At) -> Forecast:
        """The distribution of each query at `at`; see `metalcx.protocol.Forecaster.forecast`."""
        times, scalar = resolve_at(queries, at)
        prefix = self._measured(queries)
        point, values = np.empty(times.shape), np.empty((*times.shape, len(LEVELS)))
        alive = ~prefix.diverged
        if alive.any():
            point[alive], values[alive] = self._alive(prefix.take(alive), times[alive], queries.take(alive))
        sign, metric = queries.metric.sign, queries.metric
        point, values = sign * point, sign * (values if sign > 0 else values[..., ::-1])
        point, values = metric.clip(point), metric.clip(values)
        if not alive.all():
            # What was measured before a run diverged stays as it was.
            dead, asked = prefix.take(~alive), times[~alive]
            known = np.where(asked <= dead.t_last[:, None], metric.clip(sign * dead.at(asked)), metric.worst)
            point[~alive], values[~alive] = known, known[..., None]
        return Forecast(metric, queries.ids, times, values, point, scalar)

    def _measured(self, queries: Curves) -> PaddedCurves:
        """The queries, oriented.

        Raises:
            DataError: If they measure something else than the support, or a run has no value.
        """
        if self.support.metric is not None and self.support.metric != queries.metric:
            raise DataError(
                f"queries measure {queries.metric}, but the support measured {self.support.metric}; "
                "declare the same metric for both, or adapt to runs that measure this one"
            )
        prefix = _oriented(queries)
        void = (prefix.length == 0) & ~prefix.diverged
        if void.any():
            raise DataError(f"queries {name_some(queries.ids[void])} have no measured value; leave them out")
        return prefix

    def _floored(self, prefix: PaddedCurves) -> PaddedCurves:
        """Runs none of whose values is below the support's floor."""
        return prefix.with_values(np.maximum(prefix.y, self.support.floor))

    def _alive(self, prefix: PaddedCurves, times: FloatArray, queries: Curves) -> tuple[FloatArray, FloatArray]:
        """Oriented point (n, m) and quantiles (n, m, levels) of runs that have not diverged."""
        floored, later = self._floored(prefix), times > prefix.t_last[:, None]
        seen = prefix.at(times)
        point, values = seen.copy(), np.repeat(seen[..., None], len(LEVELS), -1)
        for piece in _pieces(prefix, times, later, len(self.support)):
            rows, columns = np.nonzero(later[piece])
            if not len(rows):
                continue
            own, asked = (floored, queries) if len(piece) == len(prefix) else (floored.take(piece), queries.take(piece))
            where = piece[rows], columns
            point[where], values[where] = self._predict(own, rows, times[where], asked)
        return point, values

    @abstractmethod
    def _predict(
        self, prefix: PaddedCurves, rows: np.ndarray, times: FloatArray, queries: Curves
    ) -> tuple[FloatArray, FloatArray]:
        """Point (b,) and ascending quantiles (b, levels) in oriented space.

        Args:
            prefix: The oriented queries, n rows.
            rows: Which query each of the b forecasts is about, shape (b,).
            times: Its time, later than the query's last, shape (b,).
            queries: The queries as given, n runs, for configurations and architectures.
        """


def _pieces(prefix: PaddedCurves, times: FloatArray, later: npt.NDArray[np.bool_], k: int) -> list[IntArray]:
    """Runs that are forecast at once, as positions: those seen and asked about at the same times stand together.

    Args:
        prefix: n runs.
        times: What is asked, shape (n, m).
        later: Which of that was not observed yet, shape (n, m).
        k: Runs of the support.
    """
    n, most = len(prefix), max(PIECE * USUAL**2 // max(k, 1) ** 2, 1)
    if n <= PIECE and later.sum() <= most:
        return [np.arange(n)]
    own = np.column_stack([prefix.t[:, 0], prefix.t_last, times])
    kind = np.unique(own, axis=0, return_inverse=True)[1].reshape(-1)
    order = np.argsort(kind, kind="stable")
    new = np.diff(kind[order], prepend=-1) > 0
    described = np.cumsum(np.where(new, later[order].sum(1), 0)) - 1
    ends = (np.diff(np.arange(n) // PIECE) > 0) | (np.diff(described // most) > 0)
    return np.split(order, np.flatnonzero(ends) + 1) if ends.any() else [np.arange(n)]


def gaussian(point: FloatArray, sigma: FloatArray) -> FloatArray:
    """Quantiles at `LEVELS` of normal distributions; shape (b, levels)."""
    return point[:, None] + np.asarray(sigma)[:, None] * NORMAL
