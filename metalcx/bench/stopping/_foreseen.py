"""Promotions by forecasts, each adapted model asked once about all runs at a rung."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from metalcx.curves import Curves
from metalcx.decide import ForecastScore
from metalcx.decide._score import grown
from metalcx.decide._trials import oriented_last
from metalcx.protocol import FloatArray, Forecaster

#: A model is adapted to the first runs that finish, and again whenever twice as many have: forecasts are dear.
STARTUP, GROWTH = 5, 1.0


class Foreseen:
    """What `ForecastScore` says of recorded runs, forecast beside all others that come to the same rung.

    A forecast does not depend on what is beside it, so that nothing is known before it could be. Runs may be given
    without their configurations and architectures: the recording has them.

    Args:
        model: Adapted to the runs that finish first.
        curves: All runs of the recording.
    """

    name, learns = "expected final value", True

    def __init__(self, model: Forecaster, curves: Curves) -> None:
        self._score = ForecastScore(model, startup=STARTUP, growth=GROWTH)
        self._curves = curves
        self._row = {run: i for i, run in enumerate(curves.ids.tolist())}
        self._known: dict[tuple[tuple[int, ...], int, int], float] = {}

    def forget(self) -> None:
        """Begin anew: runs finish in another order."""
        self._known.clear()

    def __call__(self, runs: Curves, finished: Curves, horizon: float) -> FloatArray:
        """See `metalcx.decide.Score`."""
        last = oriented_last(runs)
        if len(finished) < STARTUP:
            return last
        support = tuple(self._rows(finished)[: grown(len(finished), STARTUP, GROWTH)])
        rows, end = self._rows(runs), runs.t_last
        asked = [(support, row, n) for row, n in zip(rows, runs.length.tolist(), strict=True)]
        if any(key not in self._known for key in asked):
            self._learn(support, range(len(self._curves)), np.full(len(self._curves), end.max()), horizon)
            # Where runs have times of their own, some have points between the last of these and the rung.
            left = [i for i, key in enumerate(asked) if key not in self._known]
            self._learn(support, [rows[i] for i in left], end[left], horizon)
        return np.where(np.isneginf(last), -np.inf, [self._known[key] for key in asked])

    def _rows(self, runs: Curves) -> list[int]:
        return [self._row[run] for run in runs.ids.tolist()]

    def _learn(self, support: tuple[int, ...], rows: Sequence[int], end: FloatArray, horizon: float) -> None:
        """What becomes of runs that are seen until their `end`, shape (n,)."""
        if not len(rows):
            return
        seen = self._curves.take(np.array(rows, dtype=np.int64)).truncate(end)
        found = self._score(seen, self._curves.take(np.array(support, dtype=np.int64)), horizon)
        for row, n, value in zip(rows, seen.length.tolist(), found, strict=True):
            self._known.setdefault((support, row, n), float(value))
