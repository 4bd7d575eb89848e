"""Queries and support side by side: what each support run looked like at a query's cut, and where it went.

A query last seen at t_c and asked for at T is compared with each support run at those same times. Where runs
are ragged (stopped early, or at a target) and T lies among their ends, they are compared by progress instead:
each run's own end stands for T and its times stretch in proportion. A run that ended before T always does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from metalcx.curves import PaddedCurves
from metalcx.curves._batch import FloatArray, IntArray, _searchsorted_rows

#: Windows into which a prefix is cut; their means describe its shape and tame its noise.
WINDOWS = 8

#: Median deviation of the support's ends, as a share of their median, above which runs count as ragged.
RAGGED_SHARE = 0.02

#: A time earlier than this share of the earliest end is a moment of training, not an end.
END_SHARE = 0.5


@dataclass(frozen=True)
class Shapes:
    """Prefixes described by numbers that need no grid; all arrays oriented, leading shape (...).

    Attributes:
        last: Value at the cut, shape (...).
        best: Best value so far, shape (...).
        variation: Total variation so far, shape (...).
        means: Means over `WINDOWS` equal spans of the prefix, oldest first, shape (..., WINDOWS).
    """

    last: FloatArray
    best: FloatArray
    variation: FloatArray
    means: FloatArray

    def map(self, f: Callable[[FloatArray], FloatArray]) -> Shapes:
        """`f` applied to each array."""
        return Shapes(f(self.last), f(self.best), f(self.variation), f(self.means))


def describe(curves: PaddedCurves, t_cut: FloatArray, t_start: FloatArray) -> Shapes:
    """Describe the prefixes of n curves that end at each of m cuts.

    Args:
        curves: n curves.
        t_cut: Cuts, shape (n, m).
        t_start: Where the description begins, shape (n, m), not later than the cut.

    Returns:
        Shapes with leading shape (n, m).
    """
    n, m = t_cut.shape
    variation = np.cumsum(np.abs(np.diff(curves.y, axis=1, prepend=curves.y[:, :1])), 1)
    edges = t_start[..., None] + (t_cut - t_start)[..., None] * np.linspace(0, 1, WINDOWS + 1)
    area = _integral(curves, edges.reshape(n, -1)).reshape(n, m, WINDOWS + 1)
    last = curves.at(t_cut)
    span = np.diff(edges, axis=-1)
    means = np.where(span > 0, np.diff(area, axis=-1) / np.where(span > 0, span, 1.0), last[..., None])
    # The best point before the cut, or the value at it: between two points the running best is no straight line.
    before = np.maximum(_searchsorted_rows(curves.t, t_cut) - 1, 0)
    best = np.take_along_axis(np.maximum.accumulate(curves.y, 1), before, 1)
    return Shapes(last, np.maximum(best, last), curves.with_values(variation).at(t_cut), means)


def _integral(curves: PaddedCurves, times: FloatArray) -> FloatArray:
    """Exact integral of each curve, as `PaddedCurves.at` reads it, from its first time to `times`; shape (n, m)."""
    pieces = np.diff(curves.t, axis=1) * (curves.y[:, 1:] + curves.y[:, :-1]) / 2
    area = np.concatenate([np.zeros((len(curves), 1)), np.cumsum(pieces, 1)], 1)
    left = np.maximum(_searchsorted_rows(curves.t, times) - 1, 0)
    t, y, before = (np.take_along_axis(a, left, 1) for a in (curves.t, curves.y, area))
    inside = np.clip(times, curves.t[:, :1], curves.t[:, -1:])
    value = curves.at(times)
    return before + (inside - t) * (y + value) / 2 + (times - inside) * value


@dataclass(frozen=True)
class Aligned:
    """u distinct (cut, time) pairs; for each, K support runs and up to Q queries (padded by repetition).

    Attributes:
        past: Support at the cut, leading shape (u, K).
        future: Support at the time asked, shape (u, K).
        query: Queries at the cut, leading shape (u, Q).
        t_cut: Last time observed, shape (u,); this and the other times count from the first where that is negative.
        t_start: First time observed, shape (u,).
        t: Time asked, shape (u,).
        stretch: Progress scale of each support run, 1 where it reached `t`, shape (u, K).
        place: Where row b of the request lies in an array of shape (u, Q), shape (2, b).
    """

    past: Shapes
    future: FloatArray
    query: Shapes
    t_start: FloatArray
    t_cut: FloatArray
    t: FloatArray
    stretch: FloatArray
    place: IntArray

    @property
    def k(self) -> int:
        """Number of support runs."""
        return self.future.shape[1]

    def rows(self, values: FloatArray) -> FloatArray:
        """(u, Q, ...) -> (b, ...), in the order of the request."""
        return values[self.place[0], self.place[1]]

    def leave_one_out(self, left: IntArray | None = None) -> Aligned:
        """Support runs, each as the query of the others: u * L pairs, K - 1 support runs, Q = 1.

        Results of shape (u * L, 1) reshape to (u, L).

        Args:
            left: Which are left out, shape (L,); all K by default.
        """
        u, k = self.future.shape
        left = np.arange(k) if left is None else left
        others, n = others_of(k, left), len(left)

        def rest(a: FloatArray) -> FloatArray:
            return a[:, others].reshape(u * n, max(k - 1, 0), *a.shape[2:])

        def own(a: FloatArray) -> FloatArray:
            return a[:, left].reshape(u * n, 1, *a.shape[2:])

        return replace(
            self,
            past=self.past.map(rest),
            future=rest(self.future),
            query=self.past.map(own),
            t_start=np.repeat(self.t_start, n),
            t_cut=np.repeat(self.t_cut, n),
            t=np.repeat(self.t, n),
            stretch=rest(self.stretch),
            place=np.stack([np.arange(u * n), np.zeros(u * n, dtype=np.int64)]),
        )


def others_of(k: int, left: IntArray | None = None) -> IntArray:
    """All of K runs but the one that is left out, a line for each of `left` (all by default), shape (L, K - 1)."""
    left = np.arange(k) if left is None else left
    return np.array([[j for j in range(k) if j != i] for i in left], dtype=np.int64).reshape(len(left), -1)


def align(support: PaddedCurves, prefix: PaddedCurves, rows: IntArray, times: FloatArray) -> Aligned:
    """Bring the support to each request (query `rows[b]` at `times[b]`); see `Aligned`."""
    own = np.stack([prefix.t[rows, 0], prefix.t_last[rows], times], 1)
    pairs, pair = np.unique(own, axis=0, return_inverse=True)
    pair = pair.reshape(-1)
    # Progress, and whatever else is a ratio of times, needs a clock that starts at or after 0.
    before = np.maximum(0.0, -pairs[:, 0])
    t_start, t_cut, t = (pairs + before[:, None]).T
    if len(support):
        stretch = _stretch(support.t_last[:, None] + (before if before.any() else 0.0), t)
        past = describe(support, t_cut * stretch - before, t_start * stretch - before)
        past = past.map(lambda a: np.moveaxis(a, 0, 1))
        future = support.at(t * stretch - before).T
    else:
        none = np.empty((len(t), 0))
        past = Shapes(none, none, none, np.empty((len(t), 0, WINDOWS)))
        stretch, future = np.empty((0, len(t))), np.empty((len(t), 0))
    seen = describe(prefix, prefix.t_last[:, None], prefix.t[:, :1]).map(lambda a: a[rows, 0])
    place, index = _group(pair, len(t))
    return Aligned(past, future, seen.map(lambda a: a[index]), t_start, t_cut, t, stretch.T, place)


def _stretch(ends: FloatArray, t: FloatArray) -> FloatArray:
    """Factor on the times of each support run that brings them to a query asked for at `t`; shape (K, u).

    The runs' ends have shape (K, 1), or (K, u) where each query has a clock of its own.
    """
    progress = (ends / np.where(t > 0, t, 1.0)).clip(0)
    middle = np.median(ends, 0)
    # The median deviation, so that a few diverged runs do not make a task of equal lengths ragged.
    ragged = np.median(np.abs(ends - middle), 0) > RAGGED_SHARE * abs(middle)
    return np.where(ragged & (t >= END_SHARE * ends.min(0)), progress, np.minimum(1.0, progress))


def _group(pair: IntArray, u: int) -> tuple[IntArray, IntArray]:
    """Place of each row in a (u, Q) table, and for each cell of it a row (padding repeats the first of its line)."""
    order = np.argsort(pair, kind="stable")
    count = np.bincount(pair, minlength=u)
    start = np.concatenate([[0], np.cumsum(count)[:-1]])
    column = np.empty(len(pair), dtype=np.int64)
    column[order] = np.arange(len(pair)) - np.repeat(start, count)
    offset = np.arange(count.max(initial=1))
    index = order[np.where(offset < count[:, None], start[:, None] + offset, start[:, None])]
    return np.stack([pair, column]), index
