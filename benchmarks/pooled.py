"""A forecaster that is asked about one run at a time, and answers for its whole pool at once.

A forecast depends on nothing but the run's own past and the support, so it does not matter when it is computed. A
search over recorded runs asks for thousands, one by one; here the first question about a cut forecasts every run of the
pool at that cut, and the others are looked up.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from metalcx.curves import Curves
from metalcx.protocol import LEVELS, At, Forecast, Forecaster


def bare(curves: Curves) -> Curves:
    """Curves without configuration, architecture and group: a search needs none of them, and carries them slowly."""
    return replace(curves, config=None, arch=None, group=None)


@dataclass(frozen=True)
class Pooled:
    """A forecaster of the runs of one pool, handed over bare; their configurations are looked up by id.

    Args:
        model: Any forecaster.
        pool: All runs, complete.
    """

    model: Forecaster
    pool: Curves
    _row: dict[Any, int] = field(default_factory=dict)
    _known: dict[tuple[float, float], tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._row.update({run: i for i, run in enumerate(self.pool.ids)})

    def _rows(self, runs: Curves) -> np.ndarray:
        return np.array([self._row[run] for run in runs.ids], dtype=np.int64)

    def _with_configuration(self, runs: Curves) -> Curves:
        known = self.pool.take(self._rows(runs))
        return replace(runs, config=known.config, arch=known.arch)

    def adapt(self, support: Curves, *, steps: int | None = None, seed: int = 0) -> Self:
        adapted = self.model.adapt(self._with_configuration(support), steps=steps, seed=seed)
        return replace(self, model=adapted, _known={})

    def forecast(self, queries: Curves, at: At) -> Forecast:
        horizon = float(np.asarray(at))
        rows, running = self._rows(queries), queries.status == "running"
        point, values = np.full((len(rows), 1), np.nan), np.full((len(rows), 1, len(LEVELS)), np.nan)
        for cut in np.unique(queries.t_last[running]):
            asked = running & (queries.t_last == cut)
            points, quantiles = self._at(float(cut), horizon)
            point[asked, 0], values[asked, 0] = points[rows[asked]], quantiles[rows[asked]]
        if not running.all():
            ended = self.model.forecast(self._with_configuration(queries.take(~running)), at=horizon)
            point[~running], values[~running] = ended.point, ended.values
        return Forecast(queries.metric, queries.ids, np.full((len(rows), 1), horizon), values, point, True)

    def _at(self, cut: float, horizon: float) -> tuple[np.ndarray, np.ndarray]:
        if (cut, horizon) not in self._known:
            seen = self.pool.truncate(cut)
            measured = np.flatnonzero(seen.padded().length > 0)
            forecast = self.model.forecast(seen.take(measured), at=horizon)
            point, values = np.full(len(seen), np.nan), np.full((len(seen), len(LEVELS)), np.nan)
            point[measured], values[measured] = forecast.point[:, 0], forecast.values[:, 0]
            self._known[cut, horizon] = point, values
        return self._known[cut, horizon]
