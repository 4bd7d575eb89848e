"""What is thought of candidates after some of them were tried: exact, one more at a time."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from metalcx.curves._batch import FloatArray

#: Quantiles by which a forecast is represented when observed values are brought to its scale.
LEVELS = 15

#: Candidates that may be tried before arrays grow.
ROOM = 64


@dataclass(eq=False)
class Posterior:
    """A Gaussian process over n candidates whose covariance is a product of features.

    Trying one more costs n (f + number tried), because the Cholesky factor grows by a row. Only the order of the
    observed values counts: the i-th of them is read as the i-th quantile of what was forecast for those candidates
    together, so that no scale has to be known. It is symmetric in the candidates and blind to values of those not told.

    Args:
        prior: Mean of each candidate, in normal scores, shape (n,).
        features: Shape (n, f); their products are the covariance.
        noise: Variance of what no feature tells, a candidate's own luck.

    Attributes:
        rows: Candidates that were tried, and behind them those that are being tried.
        values: What those tried reached, higher is better.
    """

    prior: FloatArray
    features: npt.NDArray[np.float32]
    noise: float
    rows: list[int] = field(default_factory=list, init=False)
    values: list[float] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self.prior = np.asarray(self.prior, dtype=np.float64)
        self._own = np.einsum("nf,nf->n", self.features, self.features).astype(np.float64)
        self._variance = self._own.copy()
        self._half = np.zeros((ROOM, len(self.prior)), np.float32)
        self._factor = np.zeros((ROOM, ROOM))

    def __len__(self) -> int:
        """Number of candidates."""
        return len(self.prior)

    def tell(self, row: int, value: float) -> None:
        """A candidate was tried; what it reached, higher is better, or NaN if it is only being tried."""
        if np.isnan(value):
            self._append(row)
            return
        waiting = self.rows[len(self.values) :]
        if waiting[:1] != [row]:
            # What is known stands before what is not.
            self._forget(len(self.values))
            for other in (row, *(other for other in waiting if other != row)):
                self._append(other)
        self.values.append(float(value))

    def _append(self, row: int) -> None:
        k = len(self.rows)
        if k == len(self._half):
            self._half = np.concatenate([self._half, np.zeros_like(self._half)])
            self._factor = np.pad(self._factor, (0, k))
        known = self._half[:k, row].copy()
        rest = np.sqrt(max(self._own[row] - float(known @ known), 0.0) + self.noise)
        self._factor[k, :k], self._factor[k, k] = known, rest
        self._half[k] = (self.features @ self.features[row] - known @ self._half[:k]) / np.float32(rest)
        self._variance -= np.square(self._half[k])
        self.rows.append(int(row))

    def _forget(self, k: int) -> None:
        self._variance += np.square(self._half[k : len(self.rows)]).sum(0)
        del self.rows[k:]

    @property
    def scores(self) -> FloatArray:
        """The observed values on the scale of the forecasts, shape (k,)."""
        tried = self.rows[: len(self.values)]
        return quantiles_of(np.array(self.values), self.prior[tried], np.sqrt(self._own[tried] + self.noise))

    def mean(self) -> FloatArray:
        """Expected normal score of each candidate, shape (n,)."""
        from scipy.linalg import solve_triangular

        k = len(self.values)
        if not k:
            return self.prior
        told = solve_triangular(self._factor[:k, :k], self.scores - self.prior[self.rows[:k]], lower=True)
        return self.prior + told.astype(np.float32) @ self._half[:k]

    def spread(self) -> FloatArray:
        """Standard deviation of the score that each candidate would reach, shape (n,)."""
        return np.asarray(np.sqrt(np.maximum(self._variance, 0.0) + self.noise), dtype=np.float64)


def quantiles_of(values: FloatArray, mean: FloatArray, spread: FloatArray) -> FloatArray:
    """Values of k candidates, by their order, as quantiles of the mixture of their forecasts, shape (k,).

    Args:
        values: Higher is better; ties share the mean of theirs.
        mean: Of each forecast.
        spread: Of each.
    """
    from scipy.special import ndtri
    from scipy.stats import rankdata

    if not len(values):
        return np.empty(0)
    grid = mean[:, None] + spread[:, None] * ndtri((np.arange(LEVELS) + 0.5) / LEVELS)
    share = (rankdata(values) - 0.5) / len(values)
    return np.asarray(np.quantile(grid, share), dtype=np.float64)
