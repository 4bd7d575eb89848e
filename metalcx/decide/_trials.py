"""Runs that a search can train on: a little further, pause, and resume."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from metalcx.curves import Curves, Metric
from metalcx.errors import DataError, name_some
from metalcx.protocol import FloatArray

IntArray = npt.NDArray[np.int64]


@runtime_checkable
class Trials(Protocol):
    """Runs of one task, known by position, none of them started at first; all that a search knows of training.

    Attributes:
        metric: What is measured.
        horizon: Time at which a run is complete.
    """

    @property
    def metric(self) -> Metric: ...
    @property
    def horizon(self) -> float: ...

    def __len__(self) -> int:
        """Number of runs there are to start."""
        ...

    def advance(self, rows: npt.ArrayLike, t: float) -> IntArray:
        """Start or resume the runs at `rows` and train them to time `t`; the points that each of them took."""
        ...

    def seen(self, rows: npt.ArrayLike) -> Curves:
        """What has been measured of the started runs at `rows`, in that order; unfinished ones are ``running``."""
        ...


class Recorded:
    """Past runs, trained again from what was recorded of them.

    A run takes each of its points once, whatever pauses: training never starts from scratch. It always takes its first
    point, and ends where its recording ends.

    Args:
        curves: Complete runs: none of them ``running``.
        horizon: Time at which a run is complete; what was recorded later is left out. By default the largest time.

    Raises:
        DataError: If there is no run, or one is still running.
    """

    def __init__(self, curves: Curves, horizon: float | None = None) -> None:
        running = curves.status == "running"
        if running.any():
            raise DataError(f"runs {name_some(curves.ids[running])} are still running; give recordings of ended runs")
        if not len(curves.t):
            raise DataError("no run has a point; give at least one recorded run")
        self._horizon = float(curves.t.max()) if horizon is None else float(horizon)
        cut = curves.truncate(self._horizon)
        status = np.where(cut.status == "running", "completed", cut.status).astype(object)
        self._curves = replace(cut, status=status)
        place = np.arange(len(self._curves.t)) - self._curves.offsets[self._curves.owner]
        self._t = np.full((len(curves), int(self._curves.length.max())), np.inf)
        self._t[self._curves.owner, place] = self._curves.t
        self._started = np.zeros(len(curves), dtype=bool)
        self._taken = np.zeros(len(curves), dtype=np.int64)

    @property
    def metric(self) -> Metric:
        """What is measured."""
        return self._curves.metric

    @property
    def horizon(self) -> float:
        """Time at which a run is complete."""
        return self._horizon

    @property
    def spent(self) -> int:
        """Points taken so far."""
        return int(self._taken.sum())

    @property
    def taken(self) -> IntArray:
        """Points taken of each run so far, shape (n,); 0 for one not started."""
        return self._taken.copy()

    def __len__(self) -> int:
        """Number of runs there are to start."""
        return len(self._curves)

    def advance(self, rows: npt.ArrayLike, t: float) -> IntArray:
        """Train the runs at `rows` to time `t`, and give the points that each of them took; see `Trials.advance`."""
        index = np.asarray(rows, dtype=np.int64)
        reached = (self._t[index] <= t).sum(1)
        taken = np.maximum(np.maximum(reached, np.minimum(self._curves.length[index], 1)), self._taken[index])
        self._started[index] = True
        more = taken - self._taken[index]
        self._taken[index] = taken
        return np.asarray(more, dtype=np.int64)

    def seen(self, rows: npt.ArrayLike) -> Curves:
        """What has been measured of the started runs at `rows`; see `Trials.seen`.

        Raises:
            DataError: If one of them was not started.
        """
        index = np.asarray(rows, dtype=np.int64)
        waiting = ~self._started[index]
        if waiting.any():
            raise DataError(f"runs {name_some(self._curves.ids[index[waiting]])} were not started; advance them first")
        last = np.maximum(self._taken[index] - 1, 0)
        return self._curves.take(index).truncate(self._t[index, last])


def as_order(trials: Trials, order: npt.ArrayLike | None, seed: int | None) -> IntArray:
    """Positions of the runs in the order in which they are started: as given, drawn by `seed`, or as they stand.

    Raises:
        DataError: If both are given, or `order` repeats a run or names none.
    """
    if order is None:
        n = len(trials)
        return np.arange(n) if seed is None else np.random.default_rng(seed).permutation(n)
    given = np.asarray(order, dtype=np.int64)
    if seed is not None:
        raise DataError("an order and a seed contradict each other; give one of them")
    if len(np.unique(given)) != len(given) or ((given < 0) | (given >= len(trials))).any():
        raise DataError(
            f"an order holds positions of the {len(trials)} runs, each at most once; give positions from 0 on"
        )
    return given


def oriented_last(curves: Curves) -> FloatArray:
    """Last values, higher is better, shape (n,); minus infinity where a run diverged or has none."""
    values = curves.metric.sign * curves.final
    return np.where((curves.status == "diverged") | np.isnan(values), -np.inf, values)
