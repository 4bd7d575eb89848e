"""Prefixes of any length as a few points: what models whose cost grows with the points are fitted to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metalcx.curves import PaddedCurves
from metalcx.curves._batch import BoolArray, FloatArray, IntArray, _searchsorted_rows


@dataclass(frozen=True)
class Binned:
    """n prefixes as `bins` points each; cells without a point have weight 0 and repeat the last one.

    The number of cells is fixed, so that sums over them do not depend on how wide the batch is padded.

    Attributes:
        t: Mean time of a cell, shape (n, bins).
        y: Mean value, shape (n, bins).
        weight: Points in the cell, shape (n, bins).
    """

    t: FloatArray
    y: FloatArray
    weight: FloatArray

    @property
    def used(self) -> BoolArray:
        """Cells that hold a point, shape (n, bins)."""
        return self.weight > 0


def binned(curves: PaddedCurves, length: IntArray, bins: int) -> Binned:
    """Average the first `length[i]` points of curve i in cells that widen with time.

    A prefix of up to `bins` points keeps them all. A longer one has edges at ``max(k, n (k / bins)^2)``: single
    points at the start, where curves bend, and cells of a constant share of the time passed later on.
    """
    lengths, which = np.unique(length, return_inverse=True)
    k = np.arange(bins)
    edges = np.maximum(k, np.rint(lengths[:, None] * (k / bins) ** 2).astype(np.int64))
    edges = np.where(lengths[:, None] <= bins, k, edges)
    width = int(lengths.max(initial=1))
    point = np.arange(width)
    # One ascending list of all edges, those of the i-th length lifted by i * stride, answers every search at once.
    stride = width + bins + 1
    lift = np.arange(len(lengths))[:, None] * stride
    cell = np.searchsorted((edges + lift).ravel(), (point + lift).ravel(), side="right") - 1
    cell = cell.reshape(len(lengths), width) - np.arange(len(lengths))[:, None] * bins
    seen = point < length[:, None]
    place = (np.arange(len(length))[:, None] * bins + cell[which.reshape(-1)])[seen]
    return _averages(curves, seen, place, (len(length), bins))


def _averages(curves: PaddedCurves, seen: BoolArray, place: IntArray, shape: tuple[int, int]) -> Binned:
    width, size = seen.shape[1], shape[0] * shape[1]
    weight = np.bincount(place, minlength=size).reshape(shape).astype(np.float64)

    def mean(values: FloatArray) -> FloatArray:
        # Sums of their own for each cell: running sums would lose all others behind one huge value.
        total = np.bincount(place, values[:, :width][seen], minlength=size).reshape(shape)
        result = total / np.maximum(weight, 1.0)
        final = np.maximum((weight > 0).sum(1, keepdims=True) - 1, 0)
        return np.where(weight > 0, result, np.take_along_axis(result, final, 1))

    return Binned(mean(curves.t), mean(curves.y), weight)


def points_before(curves: PaddedCurves, limit: FloatArray) -> IntArray:
    """How many points of each curve lie at or before each limit, at least one; `limit` and result (n, m)."""
    reach = limit + 1e-9 * np.abs(limit)
    return np.clip(_searchsorted_rows(curves.t, reach), 1, np.maximum(curves.length, 1)[:, None])
