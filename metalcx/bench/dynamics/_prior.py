"""The published prior over learning curves of LC-PFN (Adriaensen et al., NeurIPS 2023): draws from it, vectorised."""

from __future__ import annotations

import numpy as np

from metalcx.curves._batch import FloatArray


def draw(n: int, length: int, rng: np.random.Generator) -> FloatArray:
    """Noisy curves at epochs 1..length, shape (n, length).

    As `sample_from_prior` of the package `lcpfn`: a sum of three families (Domhan et al. 2015), each with a weight
    from U(0, 1); curves that do not rise from their first to their last point, or leave [0, 1], are drawn again; then
    normal noise whose logarithm of the standard deviation is from N(-4, 1).

    - pow3 c - a x^-alpha: c in U(0, 1.25), a in U(-.6, .6), log alpha in N(0, 2);
    - ilog2 c - a / log(x + 1): c in U(0, 1), a in U(-.5, .5);
    - Janoschek a - (a - beta) exp(-k x^delta): a in U(0, 1), beta in U(0, 2), log k in N(-2, 1), log delta in N(0, .5).

    Args:
        n: How many.
        length: Points of each.
        rng: Source of randomness.
    """
    found: list[FloatArray] = []
    missing = n
    while missing:
        # About one in six is kept.
        curves = noiseless(8 * missing, length, rng)
        kept = curves[(curves[:, -1] > curves[:, 0]) & (curves >= 0).all(1) & (curves <= 1).all(1)][:missing]
        found.append(kept)
        missing -= len(kept)
    y = np.concatenate(found) if found else np.zeros((0, length))
    return y + np.exp(rng.normal(-4.0, 1.0, (n, 1))) * rng.normal(size=y.shape)


def noiseless(n: int, length: int, rng: np.random.Generator) -> FloatArray:
    """Sums of the three families before any is drawn again, shape (n, length)."""
    x = np.arange(1.0, length + 1)

    def uniform(low: float, high: float) -> FloatArray:
        return rng.uniform(low, high, (n, 1))

    def log_normal(mean: float, std: float) -> FloatArray:
        return rng.lognormal(mean, std, (n, 1))

    with np.errstate(over="ignore", under="ignore"):
        pow3 = uniform(0.0, 1.25) - uniform(-0.6, 0.6) * x ** -log_normal(0.0, 2.0)
        ilog2 = uniform(0.0, 1.0) - uniform(-0.5, 0.5) / np.log(x + 1.0)
        top, start = uniform(0.0, 1.0), uniform(0.0, 2.0)
        janoschek = top - (top - start) * np.exp(-log_normal(-2.0, 1.0) * x ** log_normal(0.0, 0.5))
    weight = rng.uniform(0.0, 1.0, (3, n, 1))
    curves: FloatArray = weight[0] * pow3 + weight[1] * ilog2 + weight[2] * janoschek
    return curves
