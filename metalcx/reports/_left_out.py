"""How good forecasts are on this very task: each finished run is forecast by a model that was not adapted to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from metalcx.curves import Curves
from metalcx.curves._objects import objects
from metalcx.decide import support_of
from metalcx.protocol import LEVELS, FloatArray, Forecaster

#: Shares of a run that are seen.
CUTS = (0.1, 0.2, 0.4)

#: Parts into which the finished runs are divided; each is left out once.
FOLDS = 5

#: Fewest complete runs of which something can be said.
FEWEST = 6

#: Points of a run that can be cut.
SHORTEST = 4

#: Central intervals whose coverage is counted.
WIDTHS = (0.5, 0.8, 0.95)

DRAWS = 2000


@dataclass(frozen=True)
class LeftOut:
    """Forecasts of complete runs, each from its beginning, by models adapted to other runs only.

    Attributes:
        metric_sign: +1 where higher is better, -1 where lower is.
        names: m methods, the first of them the model.
        ids: The n runs.
        unit: Which of them belong together (equal group), shape (n,).
        final: How they ended, shape (n,).
        floor: Values worse than this count as this; see `floor_of`.
        values: Quantiles of the end at `LEVELS`, shape (m, len(CUTS), n, len(LEVELS)).
        point: Expected ends, shape (m, len(CUTS), n).
        support: Runs to which a model was adapted at most.
    """

    metric_sign: float
    names: tuple[str, ...]
    ids: npt.NDArray[np.object_]
    unit: npt.NDArray[np.int64]
    final: FloatArray
    floor: float
    values: FloatArray = field(repr=False)
    point: FloatArray = field(repr=False)
    support: int

    def errors(self) -> FloatArray:
        """Absolute errors of ends, shape (m, cuts, n); one run that blew up does not decide a mean."""
        point, final = (np.maximum(self.metric_sign * v, self.floor) for v in (self.point, self.final))
        return np.abs(point - final)

    def shares(self, method: int = 0) -> FloatArray:
        """Share of ends at or below each quantile, over runs and cuts, shape (len(LEVELS),)."""
        return np.asarray((self.final[:, None] <= self.values[method]).mean((0, 1)), dtype=np.float64)

    def coverage(self) -> FloatArray:
        """Share of ends inside the central intervals of `WIDTHS`, shape (m, cuts, len(WIDTHS))."""
        inside = []
        for width in WIDTHS:
            low, high = (int(np.abs(LEVELS - level).argmin()) for level in ((1 - width) / 2, (1 + width) / 2))
            final = self.final
            inside.append(((self.values[..., low] <= final) & (final <= self.values[..., high])).mean(-1))
        return np.stack(inside, -1)

    def agreement(self) -> FloatArray:
        """Kendall's tau-b of expected and true ends, shape (m, cuts); NaN where either does not vary."""
        from scipy.stats import kendalltau

        tau = [[kendalltau(row, self.final).statistic for row in method] for method in self.point]
        return np.asarray(tau, dtype=np.float64)

    def gains(self, seed: int = 0) -> FloatArray:
        """1 - mean error of the model / that of each method, and the 95 % bootstrap interval over groups of runs.

        Returns:
            Shape (m, 3): gain, low, high over all cuts; NaN where a method makes no error.
        """
        error = self.errors().mean(1)
        groups = int(self.unit.max()) + 1
        weight = np.random.default_rng(seed).multinomial(groups, np.full(groups, 1 / groups), DRAWS)[:, self.unit]
        with np.errstate(divide="ignore", invalid="ignore"):
            gain = 1 - error[0].mean() / error.mean(1)
            drawn = 1 - (weight @ error[0])[:, None] / (weight @ error.T)
        low, high = np.nanquantile(np.where(np.isfinite(drawn), drawn, np.nan), [0.025, 0.975], axis=0)
        return np.stack([gain, low, high], -1)


def floor_of(curves: Curves) -> float:
    """The oriented value below which everything counts alike: ``init - 3 (best - init)``.

    With init the median first and best the best value of whole runs, as in the transfer protocol.
    """
    from metalcx.forecasters._base import floor_of as oriented_floor

    whole = curves.padded()
    return oriented_floor(whole.with_values(curves.metric.sign * whole.y))


def baselines() -> dict[str, Forecaster]:
    """The simple methods that stand beside a model, by name."""
    from metalcx.forecasters import Baseline

    experts = {"last value": "last", "best so far": "best", "affine": "affine", "med5": "med5"}
    return {name: Baseline(expert) for name, expert in experts.items()}


def leave_out(
    curves: Curves, model: Forecaster, name: str, *, most: int | None = None, seed: int = 0
) -> LeftOut | None:
    """Divide the finished runs into `FOLDS` parts and forecast the complete ones of each from its beginnings.

    Runs of one group are in one part. Every method sees the same runs: those of the other parts, at most `most`.

    Args:
        curves: Runs of one task; running ones are left out.
        model: A base, not adapted to any of them.
        name: What it is called.
        most: Runs to adapt to, at most.
        seed: Of the division and of adaptation.

    Returns:
        None if fewer than `FEWEST` runs are complete and have at least `SHORTEST` points.
    """
    finished = curves.finished()
    padded = finished.padded()
    fit = np.flatnonzero((finished.status == "completed") & (padded.length >= SHORTEST))
    if len(fit) < FEWEST:
        return None
    unit = _units(finished)
    folds = np.random.default_rng(seed).permutation(int(unit.max()) + 1) % FOLDS
    part = folds[unit]
    methods: Mapping[str, Forecaster] = {name: model} | baselines()
    shape = (len(methods), len(CUTS), len(finished))
    values, point = np.full((*shape, len(LEVELS)), np.nan), np.full(shape, np.nan)
    for fold in np.unique(part[fit]):
        rows = fit[part[fit] == fold]
        support = support_of(finished.take(part != fold), most)
        asked, at = _beginnings(finished.take(rows))
        for i, method in enumerate(methods.values()):
            made = method.adapt(support, seed=seed).forecast(asked, at=at)
            values[i][:, rows] = made.values[:, 0].reshape(len(CUTS), len(rows), len(LEVELS))
            point[i][:, rows] = made.point[:, 0].reshape(len(CUTS), len(rows))
    sizes = [len(support_of(finished.take(part != fold), most)) for fold in np.unique(part[fit])]
    return LeftOut(
        finished.metric.sign,
        tuple(methods),
        finished.ids[fit],
        np.unique(unit[fit], return_inverse=True)[1].astype(np.int64),
        padded.last[fit],
        floor_of(finished.take(fit)),
        values[:, :, fit],
        point[:, :, fit],
        max(sizes),
    )


def _units(curves: Curves) -> npt.NDArray[np.int64]:
    """The group of each run as a number; a run without one stands alone."""
    names: list[Any] = list(curves.ids)
    if curves.group is not None:
        names = [("run", i) if g is None or g != g else ("group", str(g)) for i, g in enumerate(curves.group)]
    return np.unique(np.array([repr(name) for name in names]), return_inverse=True)[1].astype(np.int64)


def _beginnings(whole: Curves) -> tuple[Curves, FloatArray]:
    """The first part of each run at each of `CUTS`, running, and the times of their ends, shape (cuts * runs, 1)."""
    padded = whole.padded()
    parts = []
    for i, cut in enumerate(CUTS):
        seen = np.clip(np.round(cut * padded.length).astype(np.int64), 2, padded.length - 1)
        begun = whole.truncate(padded.t[np.arange(len(whole)), seen - 1])
        ids = objects((i, j) for j in range(len(whole)))
        parts.append(replace(begun, ids=ids, status=np.full(len(whole), "running", dtype=object)))
    return Curves.concat(parts), np.tile(padded.t_last, len(CUTS))[:, None]
