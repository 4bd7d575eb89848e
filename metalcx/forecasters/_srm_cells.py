"""Which regressors a set of requests needs: a cell is one observed length and one time asked."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np

from metalcx.curves import PaddedCurves
from metalcx.curves._batch import FloatArray, IntArray

#: Where curves share no grid: steps of the grids to which T and T / tau are rounded, steps to which the start of a
#: prefix is rounded (in shares of the prefix), and the most points of a resampled prefix.
T_STEP, RATIO_STEP, START_STEP, MOST_POINTS = 1.5, 1.2, 0.25, 16


@dataclass(frozen=True)
class Cell:
    """One regressor's place.

    Attributes:
        grid: Times at which the support is read, the last one being tau.
        t: The time asked.
        exact: Whether queries were measured at `grid`; otherwise they are read at as many equally
            spaced times between their own first and last point.
    """

    grid: tuple[float, ...]
    t: float
    exact: bool

    def support(self, curves: PaddedCurves) -> tuple[FloatArray, FloatArray]:
        """Prefixes of the support (k, len(grid)) and its values at the time asked (k,).

        A run that ended before that time is compared by progress.
        """
        stretch = np.minimum(1.0, curves.t_last / self.t)[:, None] if self.t > 0 else np.ones((len(curves), 1))
        return curves.at(np.array(self.grid) * stretch), curves.at(self.t * stretch)[:, 0]

    def queries(self, prefix: PaddedCurves) -> FloatArray:
        """Prefixes of queries, shape (n, len(grid))."""
        if self.exact:
            return prefix.at(np.array(self.grid))
        share = np.linspace(0.0, 1.0, len(self.grid)) if len(self.grid) > 1 else np.ones(1)
        start, end = prefix.t[:, :1], prefix.t_last[:, None]
        # The end itself, not a sum that rounds to it: the last value is read and not interpolated.
        return prefix.at(np.where(share == 1.0, end, start + (end - start) * share))


@dataclass
class Requests:
    """The forecasts that take part of their answer from one cell.

    Attributes:
        index: Which forecasts, in 0..b-1.
        weight: The cell's share in each.
    """

    index: list[int] = field(default_factory=list)
    weight: list[float] = field(default_factory=list)


def place(
    support: PaddedCurves, prefix: PaddedCurves, rows: IntArray, times: FloatArray, max_targets: int
) -> dict[Cell | None, Requests]:
    """The cells that b forecasts (query `rows[b]` at `times[b]`) need; None stands for the query's last value.

    A forecast's cells and weights depend on its own query and the support alone.
    """
    grid = shared_grid(support)
    shared = np.empty(0) if grid is None else grid
    anchor = float(np.median(support.t_last))
    shapes = [None if _on_grid(shared, prefix, i) else _off_grid(prefix, i) for i in range(len(prefix))]
    cells: dict[Cell | None, Requests] = defaultdict(Requests)
    for b, (i, t) in enumerate(zip(rows, times, strict=True)):
        shape = shapes[i]
        if shape is not None:
            shares: list[tuple[Cell | None, float]] = [(shape.cell(float(t), anchor), 1.0)]
        else:
            shares = _exact(shared, int(prefix.length[i]), float(t), max_targets)
        for cell, weight in shares:
            cells[cell].index.append(b)
            cells[cell].weight.append(weight)
    return cells


def shared_grid(support: PaddedCurves) -> FloatArray | None:
    """Times of the longest run if all others were measured at its first times and half of them reach its end."""
    longest = support.t[int(np.argmax(support.length))]
    grid = longest[: int(support.length.max())]
    same = (support.t == longest) | ~support.mask
    return grid if same.all() and 2 * (support.length == len(grid)).sum() >= len(support) else None


def _on_grid(grid: FloatArray, prefix: PaddedCurves, i: int) -> bool:
    n = int(prefix.length[i])
    return n <= len(grid) and bool((prefix.t[i, :n] == grid[:n]).all())


def _exact(grid: FloatArray, n: int, t: float, max_targets: int) -> list[tuple[Cell | None, float]]:
    """Cells of a query with the first n times of the grid: one at `t`, or the two knots around it."""
    tau = tuple(grid[:n].tolist())
    ahead = grid[n:]
    if not len(ahead) or t >= ahead[-1] or (len(ahead) <= max_targets and t in ahead):
        return [(Cell(tau, t, True), 1.0)]
    knots = ahead[np.unique(np.linspace(0, len(ahead) - 1, max_targets + 1).round().astype(int)[1:])]
    if len(ahead) <= max_targets:
        knots = ahead
    right = int(np.searchsorted(knots, t))
    left_t = tau[-1] if right == 0 else float(knots[right - 1])
    share = (t - left_t) / (float(knots[right]) - left_t)
    left = None if right == 0 else Cell(tau, left_t, True)
    both = [(left, 1.0 - share), (Cell(tau, float(knots[right]), True), share)]
    return [(cell, weight) for cell, weight in both if weight > 0]


@dataclass(frozen=True)
class _Shape:
    """What of an off-grid prefix decides its cell."""

    tau: float
    start: float
    points: int

    def cell(self, t: float, anchor: float) -> Cell:
        rounded = _snap(t / anchor, T_STEP) * anchor if t > 0 and anchor > 0 else t
        tau = rounded / max(_snap(t / self.tau, RATIO_STEP), RATIO_STEP) if self.tau > 0 and t > 0 else self.tau
        return Cell(tuple(np.linspace(self.start, 1.0, self.points) * tau), rounded, False)


def _off_grid(prefix: PaddedCurves, i: int) -> _Shape:
    tau, start = float(prefix.t_last[i]), float(prefix.t[i, 0])
    share = round(start / tau / START_STEP) * START_STEP if tau > 0 else 1.0
    points = 2 ** int(np.log2(min(MOST_POINTS, int(prefix.length[i]))))
    return _Shape(tau, share if points > 1 else 1.0, points)


def _snap(ratio: float, step: float) -> float:
    return float(step ** round(np.log(ratio) / np.log(step)))
