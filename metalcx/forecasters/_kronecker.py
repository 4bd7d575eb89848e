"""The covariance of a latent Kronecker GP, its evidence, and the hyperparameters that maximise it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cholesky, lapack, solve_triangular
from scipy.optimize import minimize

from metalcx.curves._batch import FloatArray, IntArray

#: Added to the diagonal, in units of the values' variance.
JITTER = 1e-6

#: Mode and standard deviation of the normal priors on the hyperparameters' logarithms (`persistence`: its log-odds).
#: Wide, but enough to keep a support of one or two runs from deciding what it cannot know.
PRIORS = {
    "shared": (0.0, 1.5),
    "configuration": (-1.5, 1.5),
    "run": (-0.5, 1.5),
    "similarity": (0.5, 0.7),
    "timescale": (0.7, 1.0),
    "noise": (-5.0, 2.0),
    "persistence": (0.0, 1.5),
}
MODE = np.array([mode for mode, _ in PRIORS.values()])
SPREAD = np.array([spread for _, spread in PRIORS.values()])
MAX_STEPS = 40


@dataclass(frozen=True)
class Hyperparameters:
    """Of the covariance ``runs(i, j) * time(s, t)`` plus noise, in units of standardised values.

    Attributes:
        shared: Variance of what all runs have in common.
        configuration: Variance of what similar configurations have in common.
        run: Variance of each run's own part.
        similarity: Length scale of the configuration kernel, in standard deviations of the support.
        timescale: Length scale of the time kernel in units of log t.
        noise: Variance of one measured value.
        persistence: Share of the time kernel that is constant: how much of a run's deviation stays for ever.
    """

    shared: float
    configuration: float
    run: float
    similarity: float
    timescale: float
    noise: float
    persistence: float

    @classmethod
    def of(cls, raw: FloatArray) -> Hyperparameters:
        """From logarithms in the order of the attributes; the last one is log-odds."""
        values = np.exp(np.clip(raw, -25.0, 25.0))
        values[-1] /= 1.0 + values[-1]
        return cls(**{name: float(value) for name, value in zip(PRIORS, values, strict=True)})

    @classmethod
    def prior(cls) -> Hyperparameters:
        """The mode of `PRIORS`: what is assumed without support."""
        return cls.of(MODE)

    @property
    def total(self) -> float:
        """Prior variance of a value without noise."""
        return self.shared + self.configuration + self.run

    def similar(self, square: FloatArray) -> FloatArray:
        """Correlation of configurations at mean squared distance `square`; same shape."""
        return np.exp(-0.5 * square / self.similarity**2)

    def time(self, gap: FloatArray) -> FloatArray:
        """Correlation of values `gap` apart in log t: a constant and a Matern 3/2 kernel; same shape."""
        return self.persistence + (1.0 - self.persistence) * matern(gap / self.timescale)[0]


def matern(r: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Matern 3/2 at scaled distance r >= 0, and its derivative by the logarithm of the length scale."""
    s = np.sqrt(3.0) * r
    decay = np.exp(-s)
    return (1.0 + s) * decay, s**2 * decay


@dataclass(frozen=True)
class Observed:
    """The observed cells of a latent grid of K runs and the distinct times: a Kronecker product, projected.

    Attributes:
        run: Run of each cell, ascending, every run present, shape (N,).
        log_t: Logarithm of its time, shape (N,).
        y: Standardised value, shape (N,).
        weight: Measurements averaged in it, shape (N,).
        square: Mean squared distances of configurations, shape (K, K); inf between runs that cannot be compared.
    """

    run: IntArray
    log_t: FloatArray
    y: FloatArray
    weight: FloatArray
    square: FloatArray

    def runs(self, h: Hyperparameters) -> FloatArray:
        """Kernel over runs, shape (K, K)."""
        return h.shared + h.configuration * h.similar(self.square) + h.run * np.eye(len(self.square))

    def covariance(self, h: Hyperparameters) -> FloatArray:
        """Covariance of the observed values, noise included, shape (N, N)."""
        times, place = np.unique(self.log_t, return_inverse=True)
        latent = h.time(np.abs(times[:, None] - times))
        k = self.runs(h)[np.ix_(self.run, self.run)] * latent[np.ix_(place, place)]
        k[np.diag_indices(len(k))] += h.noise / self.weight + JITTER
        return np.asarray(k)

    def factor(self, h: Hyperparameters) -> tuple[FloatArray, FloatArray]:
        """Lower Cholesky factor of the covariance, and the covariance's inverse times the values."""
        lower = cholesky(self.covariance(h), lower=True, check_finite=False)
        half = solve_triangular(lower, self.y, lower=True, check_finite=False)
        return lower, solve_triangular(lower, half, lower=True, trans=1, check_finite=False)


def inverse_of(lower: FloatArray) -> FloatArray:
    """Inverse of the matrix whose lower Cholesky factor this is."""
    half, _ = lapack.dpotri(lower, lower=1)
    # The upper triangle stays as it came: zero.
    full = half + half.T
    full[np.diag_indices(len(full))] *= 0.5
    return np.asarray(full)


def evidence(raw: FloatArray, cells: Observed) -> tuple[float, FloatArray]:
    """Log marginal likelihood of the cells and its gradient (Rasmussen and Williams 2006, eq. 2.30 and 5.9).

    Args:
        raw: Logarithms of the hyperparameters, as for `Hyperparameters.of`.
        cells: What was observed.
    """
    h = Hyperparameters.of(raw)
    lower, alpha = cells.factor(h)
    n = len(cells.y)
    value = -0.5 * cells.y @ alpha - np.log(np.diag(lower)).sum() - 0.5 * n * np.log(2 * np.pi)
    pull = 0.5 * (np.outer(alpha, alpha) - inverse_of(lower))
    return float(value), _gradient(h, cells, pull)


def _gradient(h: Hyperparameters, cells: Observed, pull: FloatArray) -> FloatArray:
    """``sum(pull * dK)`` for each hyperparameter; the run kernel's from sums over blocks of runs."""
    times, place = np.unique(cells.log_t, return_inverse=True)
    grid = np.ix_(place, place)
    m, dm = matern(np.abs(times[:, None] - times) / h.timescale)
    time = h.persistence + (1.0 - h.persistence) * m
    start = np.searchsorted(cells.run, np.arange(len(cells.square)))
    blocks = np.add.reduceat(np.add.reduceat(pull * time[grid], start, 0), start, 1)
    similar = h.similar(cells.square)
    square = np.where(np.isfinite(cells.square), cells.square, 0.0)
    weighed = pull * cells.runs(h)[np.ix_(cells.run, cells.run)]
    p = h.persistence
    return np.array(
        [
            h.shared * blocks.sum(),
            h.configuration * (blocks * similar).sum(),
            h.run * np.trace(blocks),
            h.configuration * (blocks * similar * square).sum() / h.similarity**2,
            (1.0 - p) * (weighed * dm[grid]).sum(),
            h.noise * (np.diag(pull) / cells.weight).sum(),
            p * (1.0 - p) * (weighed * (1.0 - m)[grid]).sum(),
        ]
    )


def fit(cells: Observed) -> Hyperparameters:
    """Hyperparameters of the highest posterior density, by L-BFGS-B from the prior's mode."""
    from threadpoolctl import threadpool_limits

    def objective(raw: FloatArray) -> tuple[float, FloatArray]:
        value, gradient = evidence(raw, cells)
        away = (raw - MODE) / SPREAD
        return 0.5 * float(away @ away) - value, away / SPREAD - gradient

    bounds = list(zip(MODE - 4 * SPREAD, MODE + 4 * SPREAD, strict=True))
    # On matrices this small, threads cost more than they give, and on a busy machine far more.
    with threadpool_limits(1):
        found = minimize(objective, MODE, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": MAX_STEPS})
    return Hyperparameters.of(found.x)
