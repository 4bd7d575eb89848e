"""Queries and support side by side: what each support run looked like at a query's cut, and where it went.

A query last seen at t_c and asked for at T is compared with each support run at those same times. A support
run that ended before T (ragged or early-stopped tasks) is compared by progress: its own end stands for T and
its times shrink in proportion.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from metalcx.curves import PaddedCurves
from metalcx.curves._batch import FloatArray, IntArray

#: Windows into which a prefix is cut; their means describe its shape and tame its noise.
WINDOWS = 8


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

    def map(self, f) -> Shapes:  # type: ignore[no-untyped-def]
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
    steps = np.diff(curves.y, axis=1)
    width = np.diff(curves.t, axis=1)
    middle = (curves.y[:, 1:] + curves.y[:, :-1]) / 2

    def running(increments: FloatArray) -> PaddedCurves:
        return curves.with_values(np.concatenate([np.zeros((n, 1)), np.cumsum(increments, 1)], 1))

    edges = t_start[..., None] + (t_cut - t_start)[..., None] * np.linspace(0, 1, WINDOWS + 1)
    area = running(middle * width).at(edges.reshape(n, -1)).reshape(n, m, WINDOWS + 1)
    last = curves.at(t_cut)
    span = np.diff(edges, axis=-1)
    # Before a curve's first point the area does not grow although the curve is taken as constant there.
    covered = np.diff(np.maximum(edges, curves.t[:, :1, None]), axis=-1)
    filled = np.diff(area, axis=-1) + (span - covered) * curves.first[:, None, None]
    means = np.where(span > 0, filled / np.where(span > 0, span, 1.0), last[..., None])
    best = curves.with_values(np.maximum.accumulate(curves.y, 1)).at(t_cut)
    return Shapes(last, np.maximum(best, last), running(np.abs(steps)).at(t_cut), means)


@dataclass(frozen=True)
class Aligned:
    """u distinct (cut, time) pairs; for each, K support runs and up to Q queries (padded by repetition).

    Attributes:
        past: Support at the cut, leading shape (u, K).
        future: Support at the time asked, shape (u, K).
        query: Queries at the cut, leading shape (u, Q).
        t_cut: Last time observed, shape (u,).
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

    def leave_one_out(self) -> Aligned:
        """Each support run as the query of the others: u * K pairs, K - 1 support runs, Q = 1.

        Results of shape (u * K, 1) reshape to (u, K).
        """
        u, k = self.future.shape
        others = np.array([[j for j in range(k) if j != i] for i in range(k)], dtype=np.int64).reshape(k, k - 1)

        def rest(a: FloatArray) -> FloatArray:
            return a[:, others].reshape(u * k, k - 1, *a.shape[2:])

        def own(a: FloatArray) -> FloatArray:
            return a.reshape(u * k, 1, *a.shape[2:])

        return replace(
            self,
            past=self.past.map(rest),
            future=rest(self.future),
            query=self.past.map(own),
            t_start=np.repeat(self.t_start, k),
            t_cut=np.repeat(self.t_cut, k),
            t=np.repeat(self.t, k),
            stretch=rest(self.stretch),
            place=np.stack([np.arange(u * k), np.zeros(u * k, dtype=np.int64)]),
        )


def align(support: PaddedCurves, prefix: PaddedCurves, rows: IntArray, times: FloatArray) -> Aligned:
    """Bring the support to each request (query `rows[b]` at `times[b]`); see `Aligned`."""
    own = np.stack([prefix.t[rows, 0], prefix.t_last[rows], times], 1)
    pairs, pair = np.unique(own, axis=0, return_inverse=True)
    pair = pair.reshape(-1)
    t_start, t_cut, t = pairs.T
    if len(support):
        stretch = np.minimum(1.0, support.t_last[:, None] / np.where(t > 0, t, 1.0)).clip(0)
        past = describe(support, t_cut * stretch, t_start * stretch).map(lambda a: np.moveaxis(a, 0, 1))
        future = support.at(t * stretch).T
    else:
        past = Shapes(*(np.empty((len(t), 0)) for _ in range(3)), np.empty((len(t), 0, WINDOWS)))
        stretch, future = np.empty((0, len(t))), np.empty((len(t), 0))
    seen = describe(prefix, prefix.t_last[:, None], prefix.t[:, :1]).map(lambda a: a[rows, 0])
    place, index = _group(pair, len(t))
    return Aligned(past, future, seen.map(lambda a: a[index]), t_start, t_cut, t, stretch.T, place)


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
