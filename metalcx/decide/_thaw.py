"""Freeze and thaw: all runs take a point, and whoever is likeliest to win goes on, until nobody is likely to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from metalcx.decide._outcome import Outcome, outcome
from metalcx.decide._prefixes import BoolArray, IntArray, PrefixForecasts
from metalcx.protocol import FloatArray


def thaw(
    forecasts: PrefixForecasts,
    order: npt.ArrayLike,
    thresholds: Sequence[float],
    *,
    stages: Sequence[int] = (5,),
    promising: float = 0.5,
    width: float = 1.0,
    workers: int = 1,
) -> dict[float, Outcome]:
    """Replay runs that can be paused: the next points go to the run with the best chance to beat the incumbent.

    The idea of freezing and thawing runs is that of Swersky, Snoek and Adams (2014, "Freeze-thaw Bayesian
    optimization", arXiv:1406.3896); here any forecaster says what a run may become. First some runs come to their end,
    to which the model is adapted: a part of them the first of the order, the others those with the best first values,
    after every run has taken its first point. Then the `workers` likeliest to beat the best finished run go on to the
    next point that is asked about, until none has a chance of at least the threshold.

    Args:
        forecasts: Of all prefixes.
        order: Positions of the runs in the order in which they are started.
        thresholds: Chances below which nobody goes on; the replay is the same for all up to there.
        stages: Numbers of finished runs after which the model is adapted; the first is that of the first part.
        promising: Share of the first runs to finish that are chosen by their first value.
        width: Factor on the spread of forecasts; see `PrefixForecasts.beats`.
        workers: Runs that go on side by side.

    Returns:
        What came of each threshold.
    """
    pool = _Pool(forecasts, np.asarray(order, dtype=np.int64))
    chosen = round(promising * stages[0])
    pool.finish(pool.order[: stages[0] - chosen])
    pool.begin()
    pool.finish(pool.best_first(chosen))
    found: dict[float, Outcome] = {}
    waiting = sorted(set(thresholds))
    while waiting:
        chance = pool.chances(stages, width)
        while waiting and (pool.done.all() or chance.max() < waiting[-1]):
            found[waiting.pop()] = outcome(pool.recording, pool.finished, pool.spent)
        if waiting:
            likeliest = pool.order[np.argsort(-chance[pool.order], kind="stable")[:workers]]
            pool.advance(likeliest[chance[likeliest] >= waiting[-1]])
    return found


class _Pool:
    """Runs and how far each has come."""

    def __init__(self, forecasts: PrefixForecasts, order: IntArray) -> None:
        self.forecasts, self.recording, self.order = forecasts, forecasts.recording, order
        n = len(self.recording)
        # The question that each run stands at; -1 before the first.
        self.at = np.full(n, -1)
        self.done: BoolArray = np.zeros(n, dtype=bool)
        self.finished: list[int] = []
        self.spent = 0
        self._rows = np.arange(n)
        y = self.recording.padded.y
        self._values = y[:, np.minimum(self.recording.points, y.shape[1]) - 1]
        # Chances at each question against the present incumbent.
        self._about: tuple[tuple[int, ...], float] | None = None
        self._table = self._values

    def _seen(self, rows: IntArray) -> IntArray:
        """Points taken of unfinished runs."""
        return np.where(self.at[rows] >= 0, self.recording.points[self.at[rows]], 0)

    def finish(self, rows: IntArray) -> None:
        """Train runs to their end."""
        self.spent += int((self.recording.length[rows] - self._seen(rows)).sum())
        self.done[rows] = True
        self.finished += rows.tolist()

    def begin(self) -> None:
        """All others take their first point."""
        self.advance(self.order[~self.done[self.order]])

    def advance(self, rows: IntArray) -> None:
        """Train runs to the next point that is asked about, or to their end if that comes first."""
        points, following = self.recording.points, self.at[rows] + 1
        over = (following >= len(points)) | (
            points[np.minimum(following, len(points) - 1)] >= self.recording.length[rows]
        )
        on = rows[~over]
        self.spent += int((points[self.at[on] + 1] - self._seen(on)).sum())
        self.at[on] += 1
        self.finish(rows[over])

    def best_first(self, count: int) -> IntArray:
        """Unfinished runs with the best values, equals in their order."""
        rows = self.order[~self.done[self.order]]
        return rows[np.argsort(-self._values[rows, self.at[rows]], kind="stable")[:count]]

    def chances(self, stages: Sequence[int], width: float) -> FloatArray:
        """P(beats the best finished run) of each run where it stands, -1 for finished ones, shape (n,)."""
        incumbent = float(self.recording.final[self.finished].max())
        if not np.isfinite(incumbent):
            # All have diverged so far: anybody may be better.
            return np.where(self.done, -1.0, 1.0)
        reached = [stage for stage in stages if stage <= len(self.finished)]
        about = (tuple(self.finished[: reached[-1]]) if reached else (), incumbent)
        if about != self._about:
            found = self.forecasts.beats(*about, width)[:, :, 0]
            # Beyond the horizon nothing is forecast, and as under a `StopPolicy` the run goes on.
            self._about, self._table = about, np.where(np.isnan(found), 1.0, found)
        return np.where(self.done, -1.0, self._table[self._rows, self.at])
