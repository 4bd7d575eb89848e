"""Experts that learn from the support how the future depends on the prefix: ridge, GP, neighbours and matching.

All are closed-form and batched over the u pairs of an `Aligned`; ridge and GP give their leave-one-out points
without being fitted again.
"""

from __future__ import annotations

import numpy as np

from metalcx.curves._batch import FloatArray
from metalcx.forecasters._aligned import Aligned, Shapes
from metalcx.forecasters._experts import last, shift


def features(s: Shapes) -> FloatArray:
    """What ridge, GP and neighbours see of a prefix: level, recent and earlier moves; shape (..., 4)."""
    means = s.means
    quarter = means[..., -2:].mean(-1)
    half = means[..., -4:-2].mean(-1)
    early = means[..., : means.shape[-1] // 2].mean(-1)
    return np.stack([s.last, s.last - quarter, quarter - half, half - early], -1)


def _standardised(a: Aligned) -> tuple[FloatArray, FloatArray]:
    """Features of support (u, K, P) and queries (u, Q, P), centred and scaled by the support's spread."""
    fs, fq = features(a.past), features(a.query)
    centre = fs.mean(1, keepdims=True)
    spread = fs.std(1, keepdims=True)
    # A feature that does not vary in the support says nothing about how the future varies with it.
    spread = np.where(spread > 1e-9 * (np.abs(fs).max(1, keepdims=True) + 1e-300), spread, np.inf)
    return (fs - centre) / spread, np.clip((fq - centre) / spread, -4.0, 4.0)


RIDGE = np.array([0.3, 1.0, 3.0, 10.0, 30.0, 100.0])


def ridge_parts(a: Aligned) -> tuple[FloatArray, FloatArray]:
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
    return points, a.future - held_out[u, choice]


def ridge(a: Aligned) -> FloatArray:
    """Ridge regression of the gain on the prefix, penalty by leave-one-out; the shift below three runs."""
    return ridge_parts(a)[0] if a.k >= 3 else shift(a)


GP_GRID = np.array([(length, noise) for length in (1.5, 3.0, 6.0) for noise in (0.03, 0.2, 1.0)])


def gp_parts(a: Aligned) -> tuple[FloatArray, FloatArray]:
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
    return gp_parts(a)[0] if a.k >= 3 else shift(a)


def neighbours(a: Aligned) -> FloatArray:
    """Gains of support runs, weighted by how alike their prefixes are to the query's."""
    if a.k < 2:
        return shift(a)
    fs, fq = _standardised(a)
    square = ((fq[:, :, None] - fs[:, None]) ** 2).mean(-1)
    weight = np.exp(-2.0 * (square - square.min(-1, keepdims=True)))
    weight /= weight.sum(-1, keepdims=True)
    return a.query.last + np.einsum("uqk,uk->uq", weight, a.future - a.past.last)


def match(a: Aligned) -> FloatArray:
    """Gains of support runs, each scaled by how its prefix has to be stretched to lie on the query's.

    Runs whose stretched prefix fits better weigh more; stretches are shrunk to 1.
    """
    if not a.k:
        return last(a)
    weight = np.linspace(0.2, 1.0, a.query.means.shape[-1])
    weight /= weight.sum()

    def centred(means: FloatArray) -> FloatArray:
        return means - (means * weight).sum(-1, keepdims=True)

    mq, ms = centred(a.query.means), centred(a.past.means)
    # What is smaller than this is rounding of flat prefixes, not shape.
    tiny = (1e-9 * np.abs(a.past.means).max((1, 2))[:, None, None]) ** 2 + 1e-300
    size = np.einsum("ukw,w->uk", ms**2, weight)[:, None]
    prior = 0.3 * size.mean(-1, keepdims=True) + tiny
    both = np.einsum("uqw,ukw,w->uqk", mq, ms, weight)
    stretch = np.clip((both + prior) / (size + prior), 0.0, 3.0)
    misfit = np.einsum("uqw,w->uq", mq**2, weight)[..., None] - 2 * stretch * both + stretch**2 * size
    misfit = np.maximum(misfit, 0.0) + (stretch - 1.0) ** 2 * prior + tiny
    relative = misfit / np.median(misfit, -1, keepdims=True)
    share = np.exp(relative.min(-1, keepdims=True) - relative)
    share /= share.sum(-1, keepdims=True)
    return a.query.last + np.einsum("uqk,uqk,uk->uq", share, stretch, a.future - a.past.last)
