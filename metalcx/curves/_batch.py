"""Ragged curves of one metric as padded arrays: what forecasters compute on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class PaddedCurves:
    """`n` curves side by side, finite points only, padded by repeating the last point.

    Because the padding repeats the last point, interpolation and running maxima need no mask, and
    wider padding changes no result.

    Attributes:
        t: Times, shape (n, width), ascending in a row.
        y: Values, shape (n, width).
        length: Points that are real, shape (n,); 0 where a curve has no finite point (its row is NaN).
        diverged: Whether a curve ended in divergence, shape (n,).
    """

    t: FloatArray
    y: FloatArray
    length: IntArray
    diverged: BoolArray

    def __len__(self) -> int:
        return len(self.length)

    @property
    def mask(self) -> BoolArray:
        """True at real points, shape (n, width)."""
        return np.arange(self.t.shape[1]) < self.length[:, None]

    @property
    def first(self) -> FloatArray:
        """First value of each curve, shape (n,)."""
        return self.y[:, 0]

    @property
    def last(self) -> FloatArray:
        """Last finite value of each curve, shape (n,)."""
        return self.y[:, -1]

    @property
    def t_last(self) -> FloatArray:
        """Time of the last finite value, shape (n,)."""
        return self.t[:, -1]

    def take(self, index: npt.ArrayLike) -> PaddedCurves:
        """The curves at `index` (integers or a boolean mask), in that order."""
        rows = np.asarray(index)
        return PaddedCurves(self.t[rows], self.y[rows], self.length[rows], self.diverged[rows])

    def with_values(self, y: FloatArray) -> PaddedCurves:
        """The same times with other values of the same shape."""
        return replace(self, y=y)

    def truncate(self, t_max: npt.ArrayLike) -> PaddedCurves:
        """Only the points at or before `t_max` (a number, or one a curve); at least the first is kept."""
        limit = np.broadcast_to(np.asarray(t_max, dtype=np.float64), (len(self),))
        length = np.minimum(self.length, np.maximum(1, (self.t <= limit[:, None]).sum(1)))
        cut = length < self.length
        index = np.minimum(np.arange(self.t.shape[1]), np.maximum(length, 1)[:, None] - 1)
        width = max(1, int(length.max(initial=1)))
        t, y = (np.take_along_axis(a, index, 1)[:, :width] for a in (self.t, self.y))
        return PaddedCurves(t, y, length, self.diverged & ~cut)

    def at(self, times: FloatArray) -> FloatArray:
        """Values at `times` by linear interpolation, constant beyond both ends.

        Args:
            times: Shape (m,) for the same times in every curve, or (n, m) for own times.

        Returns:
            Shape (n, m).
        """
        times = np.broadcast_to(times, (len(self), times.shape[-1]))
        right = _searchsorted_rows(self.t, times)
        left = np.maximum(right - 1, 0)
        right = np.minimum(right, self.t.shape[1] - 1)
        t0, t1, y0, y1 = (np.take_along_axis(a, i, 1) for a in (self.t, self.y) for i in (left, right))
        gap = t1 - t0
        weight = np.where(gap > 0, (np.clip(times, t0, t1) - t0) / np.where(gap > 0, gap, 1.0), 1.0)
        # At a grid point the value itself comes back, not a product with a weight of one.
        return np.where(weight == 0, y0, np.where(weight == 1, y1, y0 + weight * (y1 - y0)))


def _searchsorted_rows(rows: FloatArray, times: FloatArray) -> IntArray:
    """`np.searchsorted(row, time)` for each row at once; shape of `times`."""
    shared = len(rows) > 0 and bool((rows == rows[0]).all()) and bool((times == times[0]).all())
    if shared:
        index = np.searchsorted(rows[0], times[0])
        return np.broadcast_to(index, times.shape).astype(np.int64)
    low = np.zeros(times.shape, dtype=np.int64)
    high = np.full(times.shape, rows.shape[1], dtype=np.int64)
    for _ in range(int(rows.shape[1]).bit_length()):
        middle = np.minimum((low + high) // 2, rows.shape[1] - 1)
        go_right = (np.take_along_axis(rows, middle, 1) < times) & (low < high)
        low = np.where(go_right, middle + 1, low)
        high = np.where(go_right, high, np.minimum(high, middle))
    return low


def pad(t: FloatArray, y: FloatArray, offsets: IntArray, diverged: BoolArray) -> PaddedCurves:
    """Pad flat arrays (curve i is ``offsets[i]:offsets[i + 1]``), dropping points that are not finite."""
    n = len(offsets) - 1
    finite = np.isfinite(y)
    owner = np.repeat(np.arange(n), np.diff(offsets))[finite]
    length = np.bincount(owner, minlength=n).astype(np.int64)
    start = np.concatenate([[0], np.cumsum(length)])
    width = max(1, int(length.max(initial=1)))
    index = start[:-1, None] + np.minimum(np.arange(width), np.maximum(length, 1)[:, None] - 1)
    empty = length == 0
    index[empty] = 0
    t, y = (np.append(a[finite], np.nan)[index] for a in (t, y))
    t[empty], y[empty] = np.nan, np.nan
    return PaddedCurves(t, y, length, np.asarray(diverged, dtype=bool))
