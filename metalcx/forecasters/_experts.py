"""Simple forecasts of one number from the support: each an idea in a few lines, over all requests at once.

Every expert maps an `Aligned` with u pairs, K support runs and Q queries to points of shape (u, Q) in oriented
space. Where K is too small for an expert's own idea it falls back to a simpler one, so that all are defined
for every K.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from metalcx.curves._batch import FloatArray, IntArray
from metalcx.forecasters._aligned import Aligned, Shapes, others_of

Expert = Callable[[Aligned], FloatArray]
BoolArray = npt.NDArray[np.bool_]

#: Support size at which the robust slope is trusted half.
SLOPE_PRIOR = 4.0


def last(a: Aligned) -> FloatArray:
    """The last value."""
    return a.query.last


def best(a: Aligned) -> FloatArray:
    """The best value so far."""
    return a.query.best


def shift(a: Aligned) -> FloatArray:
    """Last value plus the support's median gain."""
    return a.query.last + np.median(a.future - a.past.last, 1, keepdims=True) if a.k else last(a)


def median(a: Aligned) -> FloatArray:
    """The support's median at the time asked, whatever the query has shown."""
    return np.broadcast_to(np.median(a.future, 1, keepdims=True), a.query.last.shape) if a.k else last(a)


def affine(a: Aligned) -> FloatArray:
    """Least-squares line from the value at the cut to the value asked; the shift below three runs."""
    if a.k < 3:
        return shift(a)
    x, z = a.past.last, a.future
    mx, mz = x.mean(1, keepdims=True), z.mean(1, keepdims=True)
    var = ((x - mx) ** 2).sum(1, keepdims=True)
    flat = var <= 1e-12 * (x**2).sum(1, keepdims=True)
    slope = np.where(flat, 1.0, ((x - mx) * (z - mz)).sum(1, keepdims=True) / np.where(flat, 1.0, var))
    return mz + slope * (a.query.last - mx)


def theil_sen(a: Aligned) -> FloatArray:
    """Median of pairwise slopes, shrunk to 1 while the support is small, and the median intercept."""
    if a.k < 2:
        return shift(a)
    x, z = a.past.last, a.future
    slope = _shrunk(_median_where(*_slopes(x, z)), a.k)
    return slope * a.query.last + np.median(z - slope * x, 1, keepdims=True)


def theil_sen_left_out(a: Aligned) -> FloatArray:
    """`theil_sen` of each support run from the others, shape (u, K); needs K >= 3.

    The slopes are sorted once: without the K - 1 of one run, those in the middle are found by counting.
    """
    x, z, k = a.past.last, a.future, a.k
    slope, steep = _slopes(x, z)
    slope = np.where(steep, slope, np.inf)
    order = np.argsort(slope, 1)
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.broadcast_to(np.arange(order.shape[1]), order.shape), 1)
    # Slopes in which each run has a part, (K, K - 1), and how many of the others are before each of them.
    first, second = np.triu_indices(k, 1)
    own = np.stack([np.flatnonzero((first == run) | (second == run)) for run in range(k)])
    before = np.sort(rank[:, own], -1) - np.arange(k - 1)
    count = steep.sum(1, keepdims=True) - steep[:, own].sum(-1)
    ordered = np.take_along_axis(slope, order, 1)

    def remaining(n: IntArray) -> FloatArray:
        return np.take_along_axis(ordered, np.minimum(n + (before <= n[..., None]).sum(-1), ordered.shape[1] - 1), 1)

    middle = (remaining(np.maximum(count - 1, 0) // 2) + remaining(count // 2)) / 2
    line = _shrunk(np.where(count > 0, middle, 1.0), k - 1)
    others = others_of(k)
    return line * x + np.median(z[:, others] - line[..., None] * x[:, others], -1)


def _slopes(x: FloatArray, z: FloatArray) -> tuple[FloatArray, BoolArray]:
    """Slopes between all pairs of K runs, and which of these are apart enough to have one, shape (u, K (K - 1) / 2)."""
    i, j = np.triu_indices(x.shape[1], 1)
    dx, dz = x[:, i] - x[:, j], z[:, i] - z[:, j]
    steep = np.abs(dx) > 1e-9 * (np.abs(x).max(1, keepdims=True) + 1e-300)
    return dz / np.where(steep, dx, 1.0), steep


def _shrunk(slope: FloatArray, k: int) -> FloatArray:
    return 1.0 + (slope - 1.0) * k / (k + SLOPE_PRIOR)


def ratio(a: Aligned) -> FloatArray:
    """The support's median share of the way to the best value that is still gone by the time asked.

    A run close to the best seen has little left to gain, one far from it much: the shift of the
    logarithm of the distance.
    """
    if not a.k:
        return last(a)
    top = np.maximum(a.future, a.past.best).max(1, keepdims=True)
    margin = 0.1 * (top - np.median(a.past.last, 1, keepdims=True)) + 1e-300
    top = np.maximum(top, a.query.best) + margin
    before = top[..., None] - a.past.last[:, None]
    left = np.where(before > 0, (top[..., None] - a.future[:, None]) / np.where(before > 0, before, 1.0), 1.0)
    return top - (top - a.query.last) * np.median(left, -1)


def trend(a: Aligned) -> FloatArray:
    """The prefix's own power law: the one expert that moves without any support."""
    return a.query.last + _power_law_gain(a.query, a)


def trend_shift(a: Aligned) -> FloatArray:
    """The prefix's own power law, corrected by the median miss of the support's own power laws."""
    if not a.k:
        return trend(a)
    miss = a.future - a.past.last - _power_law_gain(a.past, a)
    return trend(a) + np.median(miss, 1, keepdims=True)


def trend_shift_left_out(a: Aligned) -> FloatArray:
    """`trend_shift` of each support run from the others, shape (u, K); no run's power law knows another."""
    gain = _power_law_gain(a.past, a)
    miss = a.future - a.past.last - gain
    return a.past.last + gain + np.median(miss[:, others_of(a.k)], -1)


def smooth(a: Aligned) -> FloatArray:
    """The mean of the last quarter of the prefix plus the support's median gain over it: the shift of noisy curves."""
    recent = a.query.means[..., -2:].mean(-1)
    return recent + np.median(a.future - a.past.means[..., -2:].mean(-1), 1, keepdims=True) if a.k else last(a)


def _power_law_gain(s: Shapes, a: Aligned) -> FloatArray:
    """What prefixes gain by ``a - b t^-c``: c on a grid, b shrunk to 0, never more than the prefix's own range."""
    span = (a.t_cut - a.t_start)[:, None]
    middles = a.t_start[:, None] + span * (np.arange(s.means.shape[-1]) + 0.5) / s.means.shape[-1]
    scale = np.where(a.t_cut > 0, a.t_cut, 1.0)[:, None]
    tau, ahead = middles / scale, a.t[:, None] / scale
    y = s.means - s.last[..., None]
    weight = tau[:, None]
    gains, errors = [], []
    for c in (0.25, 0.5, 1.0, 2.0):
        basis = (1.0 - np.maximum(tau, 0.02) ** -c)[:, None]
        b = (weight * basis * y).sum(-1) / ((weight * basis**2).sum(-1) + 0.02)
        errors.append((weight * (y - b[..., None] * basis) ** 2).sum(-1))
        gains.append(b * (1.0 - ahead**-c))
    error, gain = np.stack(errors), np.stack(gains)
    # Softly the better exponents, instead of a jump between them.
    trust = 1.0 / (error + 0.05 * (y**2).mean(-1) + 1e-300)
    move = (trust * gain).sum(0) / trust.sum(0)
    reach = np.abs(s.means[..., 0] - s.last)
    return np.where(span > 0, np.clip(move, -reach, reach), 0.0)


def _median_where(values: FloatArray, mask: BoolArray) -> FloatArray:
    """Median along axis 1 of the values under `mask`, shape (u, 1); 1 where there is none."""
    ordered = np.sort(np.where(mask, values, np.inf), 1)
    count = mask.sum(1, keepdims=True)
    low, high = np.maximum(count - 1, 0) // 2, count // 2
    pick = [np.take_along_axis(ordered, np.minimum(i, values.shape[1] - 1), 1) for i in (low, high)]
    return np.where(count > 0, (pick[0] + pick[1]) / 2, 1.0)
