"""Simple forecasts of one number from the support: each an idea in a few lines, over all requests at once.

Every expert maps an `Aligned` with u pairs, K support runs and Q queries to points of shape (u, Q) in oriented
space. Where K is too small for an expert's own idea it falls back to a simpler one, so that all are defined
for every K.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from metalcx.curves._batch import FloatArray
from metalcx.forecasters._aligned import Aligned, Shapes

Expert = Callable[[Aligned], FloatArray]

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
    i, j = np.triu_indices(a.k, 1)
    dx, dz = x[:, i] - x[:, j], z[:, i] - z[:, j]
    steep = np.abs(dx) > 1e-9 * (np.abs(x).max(1, keepdims=True) + 1e-300)
    slopes = np.where(steep, dz / np.where(steep, dx, 1.0), np.nan)
    slopes[~steep.any(1)] = 1.0
    slope = np.nanmedian(slopes, 1, keepdims=True)
    slope = 1.0 + (slope - 1.0) * a.k / (a.k + SLOPE_PRIOR)
    return slope * a.query.last + np.median(z - slope * x, 1, keepdims=True)


def trend(a: Aligned) -> FloatArray:
    """The prefix's own power law ``a - b t^-c``, c on a grid, b shrunk and never extrapolating past its own range.

    It is the one expert that moves without any support.
    """
    span = (a.t_cut - a.t_start)[:, None]
    middles = a.t_start[:, None] + span * (np.arange(a.query.means.shape[-1]) + 0.5) / a.query.means.shape[-1]
    scale = np.where(a.t_cut > 0, a.t_cut, 1.0)[:, None]
    tau, ahead = middles / scale, (a.t[:, None] / scale)
    y = a.query.means - a.query.last[..., None]
    gains, errors = [], []
    weight = tau[:, None, :] ** 1.0
    for c in (0.25, 0.5, 1.0, 2.0):
        basis = (1.0 - np.maximum(tau, 0.02) ** -c)[:, None, :]
        b = (weight * basis * y).sum(-1) / ((weight * basis**2).sum(-1) + 0.02)
        errors.append((weight * (y - b[..., None] * basis) ** 2).sum(-1))
        gains.append(b * (1.0 - ahead**-c))
    error, gain = np.stack(errors), np.stack(gains)
    # Softly the better exponents, instead of a jump between them.
    trust = 1.0 / (error + 0.05 * (y**2).mean(-1) + 1e-300)
    move = (trust * gain).sum(0) / trust.sum(0)
    reach = np.abs(a.query.means[..., 0] - a.query.last)
    return a.query.last + np.where(span > 0, np.clip(move, -reach, reach), 0.0)


def features(s: Shapes, t_span: FloatArray) -> FloatArray:
    """What ridge, GP and neighbours see of a prefix: level, recent and earlier moves; shape (..., 4)."""
    means = s.means
    quarter = means[..., -2:].mean(-1)
    half = means[..., -4:-2].mean(-1)
    early = means[..., : means.shape[-1] // 2].mean(-1)
    return np.stack([s.last, s.last - quarter, quarter - half, half - early], -1)


def _standardised(a: Aligned) -> tuple[FloatArray, FloatArray]:
    """Features of support (u, K, P) and queries (u, Q, P), centred and scaled by the support's spread."""
    fs, fq = features(a.past, a.t_cut), features(a.query, a.t_cut)
    centre = fs.mean(1, keepdims=True)
    spread = fs.std(1, keepdims=True)
    # A feature that does not vary in the support says nothing about how the future varies with it.
    spread = np.where(spread > 1e-9 * (np.abs(fs).max(1, keepdims=True) + 1e-300), spread, np.inf)
    return (fs - centre) / spread, np.clip((fq - centre) / spread, -4.0, 4.0)


RIDGE = np.array([0.3, 1.0, 3.0, 10.0, 30.0, 100.0])


def _ridge_parts(a: Aligned) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Queries' points (u, Q) and leave-one-out points of the support (u, K), at the penalty chosen by the latter."""
    fs, fq = _standardised(a)
    gain = a.future - a.past.last
    mean = gain.mean(1, keepdims=True)
    gram = np.einsum("ukp,ukq->upq", fs, fs)
    eye = np.eye(fs.shape[-1])
    inverse = np.linalg.inv(gram[:, None] + RIDGE[:, None, None] * eye)
    weights = np.einsum("ugpq,ukq,uk->ugp", inverse, fs, gain - mean)
    leverage = np.einsum("ukp,ugpq,ukq->ugk", fs, inverse, fs) + 1.0 / a.k
    fitted = np.einsum("ukp,ugp->ugk", fs, weights) + mean[:, None]
    held_out = (gain[:, None] - fitted) / np.maximum(1.0 - leverage, 1e-3)
    choice = np.argmin((held_out**2).sum(-1), 1)
    u = np.arange(len(choice))
    points = a.query.last + mean + np.einsum("uqp,up->uq", fq, weights[u, choice])
    return points, a.future - held_out[u, choice]  # type: ignore[return-value]


def ridge(a: Aligned) -> FloatArray:
    """Ridge regression of the gain on the prefix, penalty by leave-one-out; the shift below three runs."""
    return _ridge_parts(a)[0] if a.k >= 3 else shift(a)


GP_GRID = np.array([(length, noise) for length in (1.5, 3.0, 6.0) for noise in (0.03, 0.2, 1.0)])


def _gp_parts(a: Aligned) -> tuple[FloatArray, FloatArray]:
    """Queries' points (u, Q) and leave-one-out points of the support (u, K)."""
    fs, fq = _standardised(a)
    gain = a.future - a.past.last
    mean = np.median(gain, 1, keepdims=True)
    r = gain - mean
    length, noise = GP_GRID.T[:, :, None, None]

    def kernel(left: FloatArray, right: FloatArray) -> FloatArray:
        square = ((left[:, :, None] - right[:, None]) ** 2).sum(-1)
        linear = np.einsum("ukp,ulp->ukl", left, right)
        return np.exp(-0.5 * square[:, None] / length**2) + 0.1 * linear[:, None]

    inverse = np.linalg.inv(kernel(fs, fs) + noise * np.eye(a.k))
    alpha = np.einsum("ugkl,ul->ugk", inverse, r)
    # The signal variance is profiled out of the marginal likelihood.
    sigma2 = np.maximum(np.einsum("ugk,uk->ug", alpha, r) / a.k, 1e-300)
    evidence = 0.5 * np.linalg.slogdet(inverse)[1] - 0.5 * a.k * np.log(sigma2)
    u, g = np.arange(len(r)), np.argmax(evidence, 1)
    chosen = kernel(fq, fs)[u, g]
    points = a.query.last + mean + np.einsum("uqk,uk->uq", chosen, alpha[u, g])
    held_out = alpha[u, g] / np.einsum("ukk->uk", inverse[u, g])
    return points, a.future - held_out


def gp(a: Aligned) -> FloatArray:
    """Gaussian process (squared exponential plus linear) of the gain on the prefix; the shift below three runs.

    Length scale and noise by marginal likelihood on a grid (Rasmussen and Williams 2006, eq. 5.8).
    """
    return _gp_parts(a)[0] if a.k >= 3 else shift(a)


def neighbours(a: Aligned) -> FloatArray:
    """Gains of support runs, weighted by how alike their prefixes are to the query's."""
    if a.k < 2:
        return shift(a)
    fs, fq = _standardised(a)
    square = ((fq[:, :, None] - fs[:, None]) ** 2).mean(-1)
    weight = np.exp(-2.0 * (square - square.min(-1, keepdims=True)))
    weight /= weight.sum(-1, keepdims=True)
    return a.query.last + np.einsum("uqk,uk->uq", weight, a.future - a.past.last)


def med5(a: Aligned) -> FloatArray:
    """Median of affine, shift, Theil-Sen, GP and ridge: the best control that uses no source data."""
    return np.median(np.stack([f(a) for f in (affine, shift, theil_sen, gp, ridge)]), 0)


EXPERTS: dict[str, Expert] = {
    f.__name__: f for f in (last, best, shift, median, affine, theil_sen, trend, ridge, gp, neighbours)
}


def held_out(a: Aligned, names: tuple[str, ...]) -> FloatArray:
    """Leave-one-out points of the support by each named expert; shape (u, K, len(names)); needs K >= 2."""
    rest = a.leave_one_out()
    closed = {"ridge": _ridge_parts, "gp": _gp_parts}

    def points(name: str) -> FloatArray:
        if name == "med5":
            parts = [points(part) for part in ("affine", "shift", "theil_sen", "gp", "ridge")]
            return np.median(np.stack(parts), 0)
        if name in closed and a.k >= 4:
            return closed[name](a)[1]
        return EXPERTS[name](rest).reshape(a.future.shape)

    return np.stack([points(name) for name in names], -1)
