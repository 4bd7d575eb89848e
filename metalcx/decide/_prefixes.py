"""Recorded runs, and what is forecast of all their prefixes at once: what a replay walks through."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from metalcx.curves import Curves, PaddedCurves
from metalcx.decide._policy import prob_better
from metalcx.errors import DataError
from metalcx.protocol import LEVELS, FloatArray, Forecast, Forecaster

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

K = TypeVar("K")
V = TypeVar("V")

#: Adapted models whose forecasts are kept; orders that finish the same runs first share one.
KEPT = 32


@dataclass(frozen=True)
class Recording:
    """Past runs as a replay sees them; points that were not measured are no points.

    Args:
        curves: Finished runs, n of them, each with at least one measured point.
        points: After how many points of a run a rule is asked about it, ascending, shape (m,).
    """

    curves: Curves
    points: IntArray

    @classmethod
    def of(cls, curves: Curves, asks: int | None = None) -> Recording:
        """The finished runs of `curves`; running ones and those without a measured point are left out.

        Args:
            curves: Runs of one task.
            asks: How often a rule is asked about a run at most, closer at its beginning; by default at each point.

        Raises:
            DataError: If fewer than two runs are finished.
        """
        finished = curves.finished()
        finished = finished.take(finished.padded().length > 0)
        if len(finished) < 2:
            raise DataError(
                f"{len(finished)} of {len(curves)} runs are finished and have a measured point; a replay compares at "
                "least two: give complete runs, or the t at which a run is complete (horizon)"
            )
        return cls(finished, asked_points(int(finished.padded().length.max()), asks))

    def __len__(self) -> int:
        return len(self.curves)

    @cached_property
    def padded(self) -> PaddedCurves:
        """Measured points, oriented: higher is better."""
        padded = self.curves.padded()
        return padded.with_values(self.curves.metric.sign * padded.y)

    @cached_property
    def length(self) -> IntArray:
        """Points of each run, shape (n,)."""
        return self.padded.length

    @cached_property
    def final(self) -> FloatArray:
        """Oriented last value of each run, minus infinity where it diverged, shape (n,)."""
        return np.where(self.curves.status == "diverged", -np.inf, self.padded.last)

    @cached_property
    def t(self) -> FloatArray:
        """Time of each run's point that is asked about, shape (n, m); NaN where a run is over by then."""
        width = self.padded.t.shape[1]
        times = self.padded.t[:, np.minimum(self.points, width) - 1]
        return np.where(self.points < self.length[:, None], times, np.nan)

    @property
    def spread(self) -> float:
        """Unit of regrets: from the 5 to the 95 % quantile of finals, or their range where that is nothing."""
        finals = self.final[np.isfinite(self.final)]
        if not len(finals):
            return 1.0
        low, high = np.quantile(finals, [0.05, 0.95])
        return float(high - low) or float(np.ptp(finals)) or 1.0


def asked_points(longest: int, asks: int | None) -> IntArray:
    """Numbers of points from 1 to one less than `longest`: all, or about `asks` that grow by a constant factor."""
    last = max(longest - 1, 1)
    if asks is None or last <= asks:
        return np.arange(1, last + 1)
    return np.unique(np.round(np.geomspace(1, last, asks)).astype(np.int64))


@dataclass(frozen=True)
class _Known:
    """What one adapted model said so far.

    Attributes:
        model: The model.
        horizon: Time at which runs are compared.
        values: Quantiles of each run's prefixes, shape (n, w, levels).
        made: Which of them are there, shape (n, w).
    """

    model: Forecaster
    horizon: float
    values: FloatArray
    made: BoolArray


class PrefixForecasts:
    """Forecasts of every prefix that may be asked about, in one batched call for each support, or in a few.

    Args:
        model: Adapted to every support that is asked for; an empty one takes it as it is.
        recording: The runs.
        horizon: Time at which runs are compared; by default the median last time of a support's completed runs, or, if
            there is none, of its censored ones.
        patience: Prefixes that end up to so many points less one before an asked one are forecast, too.
        seed: Of adaptation.
    """

    def __init__(
        self,
        model: Forecaster,
        recording: Recording,
        horizon: float | None = None,
        patience: int = 1,
        seed: int = 0,
    ) -> None:
        self.recording, self.patience = recording, patience
        self._model, self._horizon, self._seed = model, horizon, seed
        back = recording.points[:, None] - np.arange(patience)
        # Points of the prefixes, shape (w,), and where those of each question are among them, (m, patience).
        self._ends, place = np.unique(np.maximum(back, 1), return_inverse=True)
        self._place = place.reshape(back.shape)
        padded = recording.padded
        self._t_end = padded.t[:, np.minimum(self._ends, padded.t.shape[1]) - 1]
        self._known: OrderedDict[tuple[int, ...], _Known] = OrderedDict()
        self._chances: OrderedDict[tuple[tuple[int, ...], float, float], FloatArray] = OrderedDict()

    def horizon(self, support: tuple[int, ...]) -> float:
        """Time at which runs are compared after these runs have finished; NaN if all of them diverged."""
        if self._horizon is not None:
            return self._horizon
        curves = self.recording.curves
        # A model that is taken as it is asks nobody how long a run is: that was planned for all of them.
        known = curves.take(np.array(support, dtype=np.int64)) if support else curves
        # Where all ended for another reason, such as a target reached, that is how long a run is.
        last = known.t_last[known.status == ("completed" if (known.status == "completed").any() else "censored")]
        return float(np.median(last)) if len(last) else float("nan")

    def beats(self, support: tuple[int, ...], incumbent: float, width: float = 1.0) -> FloatArray:
        """P(beats an oriented `incumbent`) as seen from the last `patience` points, latest first.

        Args:
            support: Runs that the model is adapted to, in the order of finishing.
            incumbent: What is to be beaten.
            width: Factor on the spread of forecasts; see `metalcx.decide._policy.prob_better`.

        Returns:
            Shape (n, m, patience); NaN where nothing is asked: the run is over or at the horizon.
        """
        key = (support, incumbent, width)
        if key not in self._chances:
            table = np.full((len(self.recording), len(self._ends)), np.nan)
            run, end = np.nonzero(self._open(self._of(support)))
            table[run, end] = self._beats(support, incumbent, width, run, end)
            _keep(self._chances, key, table[:, self._place], 8 * KEPT)
        return self._chances[key]

    def beats_at(
        self, support: tuple[int, ...], incumbent: float, width: float, run: IntArray, at: IntArray, ahead: IntArray
    ) -> FloatArray:
        """The same of b runs, each at question `at`, shape (b,): all points of those `ahead` are forecast along."""
        end = self._place[at, 0]
        is_open = self._open(self._of(support))
        missing = ~self._of(support).made[run, end] & is_open[run, end]
        if missing.any():
            wanted = np.zeros_like(is_open)
            wanted[run[missing], end[missing]] = True
            wanted[ahead] = True
            self._make(support, *np.nonzero(wanted & is_open))
        chance = np.full(len(run), np.nan)
        asked = is_open[run, end]
        chance[asked] = self._beats(support, incumbent, width, run[asked], end[asked])
        return chance

    def _of(self, support: tuple[int, ...]) -> _Known:
        if support not in self._known:
            runs = self.recording.curves.take(np.array(support, dtype=np.int64))
            model = self._model.adapt(runs, seed=self._seed) if support else self._model
            shape = (len(self.recording), len(self._ends))
            known = _Known(model, self.horizon(support), np.empty((*shape, len(LEVELS))), np.zeros(shape, dtype=bool))
            _keep(self._known, support, known, KEPT)
        return self._known[support]

    def _open(self, known: _Known) -> BoolArray:
        """Prefixes that are not the whole run and end before the horizon, shape (n, w)."""
        return (self._ends < self.recording.length[:, None]) & (self._t_end < known.horizon)

    def _beats(
        self, support: tuple[int, ...], incumbent: float, width: float, run: IntArray, end: IntArray
    ) -> FloatArray:
        if not len(run):
            return np.empty(0)
        self._make(support, run, end)
        known, metric = self._of(support), self.recording.curves.metric
        values = known.values[run, end][:, None]
        t = np.full((len(run), 1), known.horizon)
        forecast = Forecast(metric, np.arange(len(run)).astype(object), t, values, values[..., 0], True)
        return prob_better(forecast, metric.sign * incumbent, width)

    def _make(self, support: tuple[int, ...], run: IntArray, end: IntArray) -> None:
        """Forecast those of b prefixes that are missing."""
        known = self._of(support)
        missing = ~known.made[run, end]
        if not missing.any():
            return
        run, end = run[missing], end[missing]
        prefixes = self.recording.curves.take(run).truncate(self._t_end[run, end])
        ids = np.empty(len(run), dtype=object)
        ids[:] = list(zip(run.tolist(), end.tolist(), strict=True))
        prefixes = replace(prefixes, ids=ids, status=np.full(len(run), "running", dtype=object))
        known.values[run, end] = known.model.forecast(prefixes, at=known.horizon).values[:, 0]
        known.made[run, end] = True


def _keep(kept: OrderedDict[K, V], key: K, value: V, most: int) -> None:
    kept[key] = value
    while len(kept) > most:
        kept.popitem(last=False)
