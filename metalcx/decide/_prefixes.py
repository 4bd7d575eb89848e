"""Recorded runs, and what is forecast of all their prefixes at once: what a replay walks through."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from metalcx.curves import Curves, PaddedCurves
from metalcx.curves._objects import objects
from metalcx.decide._chance import prob_better
from metalcx.decide._support import usual_end
from metalcx.errors import DataError
from metalcx.protocol import FloatArray, Forecast, Forecaster

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


class PrefixForecasts:
    """Forecasts of every prefix that may be asked about, in one batched call for each support.

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
        self._made: OrderedDict[tuple[int, ...], tuple[Forecast, IntArray, IntArray]] = OrderedDict()
        self._chances: OrderedDict[tuple[tuple[int, ...], float, float], FloatArray] = OrderedDict()

    def horizon(self, support: tuple[int, ...]) -> float:
        """Time at which runs are compared after these runs have finished; NaN if all of them diverged."""
        if self._horizon is not None:
            return self._horizon
        curves = self.recording.curves
        # A model that is taken as it is asks nobody how long a run is: that was planned for all of them.
        known = curves.take(np.array(support, dtype=np.int64)) if support else curves
        return usual_end(known)

    def beats(self, support: tuple[int, ...], incumbent: float, width: float = 1.0) -> FloatArray:
        """P(beats an oriented `incumbent`) as seen from the last `patience` points, latest first.

        Args:
            support: Runs that the model is adapted to, in the order of finishing.
            incumbent: What is to be beaten.
            width: Factor on the spread of forecasts; see `metalcx.decide._chance.prob_better`.

        Returns:
            Shape (n, m, patience); NaN where nothing is asked: the run is over or at the horizon.
        """
        key = (support, incumbent, width)
        if key not in self._chances:
            forecast, run, end = self.forecast(support)
            table = np.full((len(self.recording), len(self._ends)), np.nan)
            if len(run):
                table[run, end] = prob_better(forecast, self.recording.curves.metric.sign * incumbent, width)
            _keep(self._chances, key, table[:, self._place], 8 * KEPT)
        return self._chances[key]

    def forecast(self, support: tuple[int, ...]) -> tuple[Forecast, IntArray, IntArray]:
        """Forecast of b prefixes at the horizon, the run of each, and which of the prefixes' ends it has, (b,) both."""
        if support not in self._made:
            known = self.recording.curves.take(np.array(support, dtype=np.int64))
            model = self._model.adapt(known, seed=self._seed) if support else self._model
            _keep(self._made, support, self._make(model, self.horizon(support)), KEPT)
        return self._made[support]

    def _make(self, model: Forecaster, horizon: float) -> tuple[Forecast, IntArray, IntArray]:
        padded = self.recording.padded
        t_end = padded.t[:, np.minimum(self._ends, padded.t.shape[1]) - 1]
        run, end = np.nonzero((self._ends < self.recording.length[:, None]) & (t_end < horizon))
        prefixes = self.recording.curves.take(run).truncate(t_end[run, end])
        ids = objects(zip(run.tolist(), end.tolist(), strict=True))
        prefixes = replace(prefixes, ids=ids, status=np.full(len(run), "running", dtype=object))
        return model.forecast(prefixes, at=horizon if len(run) else 0.0), run, end


def _keep(kept: OrderedDict[K, V], key: K, value: V, most: int) -> None:
    kept[key] = value
    while len(kept) > most:
        kept.popitem(last=False)
