"""A task split by architecture, in units of what the training architectures showed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from metalcx.bench.dynamics._tasks import DynamicsTask
from metalcx.curves import Curves
from metalcx.curves._batch import FloatArray, IntArray
from metalcx.forecasters._base import floor_from

#: Shares of the architectures that are trained on and selected on; the rest is tested on.
TRAIN, VALID = 0.60, 0.15

#: Share of a run's points that is seen.
SEEN = 0.2

#: Inter-quartile range of a standard normal law.
NORMAL_RANGE = 1.349

#: Shares of a run's points up to which forecasts are scored: epochs 80, 140 and 200 of the paper's 200.
HORIZONS = (0.4, 0.7, 1.0)


class Batch(NamedTuple):
    """Some runs in units of the training curves.

    Attributes:
        seen: Values up to the cut, shape (b, c).
        future: Those behind it, shape (b, T - c); only a loss may read them.
        arch: The graph of each, shape (b,).
    """

    seen: Tensor
    future: Tensor
    arch: Tensor


@dataclass(frozen=True, eq=False)
class Fold:
    """One split of one task.

    Attributes:
        task: The task.
        train: Runs to learn from, in an order of their own, shape (a,).
        valid: Runs to select on, shape (v,).
        test: Runs to judge on, shape (n,).
        worst: `init + 3 (init - best)` of the training runs, which stands for whatever is worse, in scoring too.
        y: Values of all runs, none worse than that, shape (runs, T).
        centre: Median of the training curves' values.
        spread: Their inter-quartile range, as a standard deviation.
    """

    task: DynamicsTask
    train: IntArray
    valid: IntArray
    test: IntArray
    worst: float
    y: FloatArray
    centre: float
    spread: float

    @property
    def seen(self) -> int:
        """Points that are seen, c."""
        return n_seen(self.y.shape[1])

    @cached_property
    def clock(self) -> Tensor:
        """Times from 0 to 1, shape (T,)."""
        t = self.task.t
        return torch.from_numpy((t - t[0]) / (t[-1] - t[0])).float()

    def batch(self, rows: IntArray) -> Batch:
        """Runs as models read them: arsinh of units of the spread, so that a few that never learn do not rule."""
        y = torch.from_numpy(np.arcsinh((self.y[rows] - self.centre) / self.spread)).float()
        return Batch(y[:, : self.seen], y[:, self.seen :], torch.from_numpy(self.task.arch[rows]))

    def values(self, told: Tensor) -> FloatArray:
        """What a model told, in the metric's unit."""
        values: FloatArray = self.centre + self.spread * np.sinh(np.clip(told.double().numpy(), -20.0, 20.0))
        return values

    def bounded(self, values: FloatArray) -> FloatArray:
        """Within the metric's bounds, and not worse than `worst`."""
        metric = self.task.metric
        kept: FloatArray = metric.sign * np.maximum(metric.sign * metric.clip(values), metric.sign * self.worst)
        return kept

    def curves(self, rows: IntArray) -> Curves:
        """Whole runs as forecasters read them."""
        curves = self.task.curves.take(rows)
        return replace(curves, values={**curves.values, curves.metric.name: self.y[rows].ravel()})


def n_seen(length: int) -> int:
    """Points that are seen of so many."""
    return int(np.clip(round(SEEN * length), 2, length - 1))


def split(task: DynamicsTask, seed: int) -> Fold:
    """Hold architectures out: no graph, by whatever numbering, and no group is on two sides."""
    groups = np.random.default_rng([seed, 11]).permutation(np.unique(task.group))
    a = max(round(TRAIN * len(groups)), 1)
    b = a + max(round(VALID * len(groups)), 1)
    train, valid, test = (np.flatnonzero(np.isin(task.group, part)) for part in (groups[:a], groups[a:b], groups[b:]))
    train = np.random.default_rng([seed, 12]).permutation(train)
    # The floor of the transfer protocol, from training runs alone.
    learned = task.metric.sign * task.y[train]
    worst = floor_from(learned[:, 0], float(learned.max()))
    y = task.metric.sign * np.maximum(task.metric.sign * task.y, worst)
    low, centre, high = np.quantile(y[train], [0.25, 0.5, 0.75])
    spread = float(high - low) / NORMAL_RANGE or float(y[train].std()) or 1.0
    return Fold(task, train, valid, test, task.metric.sign * worst, y, float(centre), spread)
