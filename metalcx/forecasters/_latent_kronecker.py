"""A Gaussian process over runs and time, conditioned on the support and on each query's own prefix."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.linalg import solve_triangular

from metalcx.curves import Curves, PaddedCurves
from metalcx.curves._batch import BoolArray, FloatArray
from metalcx.forecasters._base import BaseForecaster, Support, gaussian
from metalcx.forecasters._binning import Binned, binned
from metalcx.forecasters._configurations import ConfigurationSpace
from metalcx.forecasters._kronecker import JITTER, Hyperparameters, Observed, fit, inverse_of

#: Cells of a query's prefix and, at most, of a support run.
CELLS = 16

#: Cells of the whole support as long as each run keeps `FEWEST_CELLS`; the work grows with the cube of it.
BUDGET = 400
FEWEST_CELLS = 6

#: Runs, evenly spread over a larger support, to which the hyperparameters are fitted.
FIT_RUNS = 32

#: Queries conditioned in one go, so that memory stays small.
CHUNK = 64

#: Runs whose worth the model's own width keeps against the leave-one-out errors.
WIDTH_PRIOR = 4.0


@dataclass(frozen=True)
class LatentKroneckerGP(BaseForecaster):
    """Latent Kronecker Gaussian process (Lin et al. 2024, "Scaling Gaussian processes for learning curve prediction via
    latent Kronecker structure", arXiv:2410.09239, section 3).

    The covariance of two values is a kernel over runs times a kernel over log time (Matern 3/2 plus a constant), of
    which only the observed cells are kept (the paper's projection), plus noise. Runs share a part, resemble each other
    by their configurations (squared exponential) where support and query have one, and keep a part of their own.
    Unlike in the paper, hyperparameters are fitted on the support alone and every query is conditioned on the support
    and its own prefix, so that no forecast depends on the other queries. Curves are averaged to at most `CELLS` cells
    (fewer for a support of more than 25 runs), whose noise is divided by the points they hold. The value that ends a
    diverged run is left out: the process describes runs that go on.

    Forecasts are normal, noise included, at any time; their width is corrected by the closed-form leave-one-run-out
    errors of the support at the query's cut. Without support, hyperparameters are those of the prior, centred at the
    query's last value in units of its prefix's range (of a thousandth of its value for a flat or one-point prefix).
    """

    posterior: _Posterior | None = field(default=None, kw_only=True, repr=False)

    def _fitted(self, steps: int | None, seed: int) -> Self:
        return replace(self, posterior=_Posterior.of(self.support) if len(self.support) else None)

    def _predict(
        self, prefix: PaddedCurves, rows: np.ndarray, times: FloatArray, queries: Curves
    ) -> tuple[FloatArray, FloatArray]:
        point, sigma = np.empty(len(rows)), np.empty(len(rows))
        asked, which = np.unique(rows, return_inverse=True)
        which = which.reshape(-1)
        for start in range(0, len(asked), CHUNK):
            mine = (which >= start) & (which < start + CHUNK)
            part = asked[start : start + CHUNK]
            given = self._given(prefix.take(part), queries.take(part))
            point[mine], sigma[mine] = given.predict(which[mine] - start, times[mine])
        return np.maximum(point, self.support.floor), gaussian(point, sigma)

    def _given(self, prefix: PaddedCurves, queries: Curves) -> _Queries:
        cells = binned(prefix, prefix.length, CELLS)
        if self.posterior is None:
            return _Queries.alone(prefix, cells)
        return self.posterior.given(prefix, cells, queries)


@dataclass(frozen=True)
class _Posterior:
    """What the support says: fitted hyperparameters and a factorised covariance of its N cells."""

    h: Hyperparameters
    cells: Observed
    lower: FloatArray
    alpha: FloatArray
    space: ConfigurationSpace
    places: FloatArray
    known: BoolArray
    centre: float
    unit: float
    delay: float

    @classmethod
    def of(cls, support: Support) -> _Posterior:
        curves = support.curves
        k = len(curves)
        # A diverged run's last point is the floor that the base put there.
        binned_runs = binned(curves, curves.length - curves.diverged, int(np.clip(BUDGET // k, FEWEST_CELLS, CELLS)))
        centre, unit = _scale(binned_runs)
        delay = float(_delay(curves.t.min(), np.median(curves.t[:, -1] - curves.t[:, 0]) / 100))
        source = support.source
        space = ConfigurationSpace.of(None if source is None else source.config)
        places, known = space.encode(None if source is None else source.config, k)
        run, cell = np.nonzero(binned_runs.used)
        t, y, weight = (a[run, cell] for a in (binned_runs.t, binned_runs.y, binned_runs.weight))
        square = _square(places, places, known, known)
        np.fill_diagonal(square, 0.0)  # a run of unknown configuration still resembles itself
        cells = Observed(run, _log(t, delay), (y - centre) / unit, weight, square)
        h = fit(_some_runs(cells, FIT_RUNS))
        return cls(h, cells, *cells.factor(h), space, places, known, centre, unit, delay)

    def given(self, prefix: PaddedCurves, cells: Binned, queries: Curves) -> _Queries:
        """Condition on queries with these prefixes."""
        places, known = self.space.encode(queries.config, len(queries))
        similar = self.h.similar(_square(places, self.places, known, self.known))
        n = len(queries)
        return _Queries(
            h=self.h,
            log_t=_log(cells.t, self.delay),
            y=(cells.y - self.centre) / self.unit,
            cells=cells,
            kernel=self.h.shared + self.h.configuration * similar,
            posterior=self,
            centre=np.full(n, self.centre),
            unit=self.unit * self.widen(prefix.t_last),
            scale=np.full(n, self.unit),
            delay=np.full(n, self.delay),
        )

    @cached_property
    def _blocks(self) -> tuple[FloatArray, FloatArray, FloatArray, BoolArray]:
        """Each run's own block of the precision (K, G, G), of alpha, log times and what is real (K, G)."""
        length = np.bincount(self.cells.run)
        start = np.cumsum(length) - length
        real = np.arange(length.max()) < length[:, None]
        index = start[:, None] + np.minimum(np.arange(length.max()), length[:, None] - 1)
        precision = inverse_of(self.lower)[index[:, :, None], index[:, None]]
        return precision, self.alpha[index], self.cells.log_t[index], real

    def widen(self, t_cut: FloatArray) -> FloatArray:
        """Factor on the width of queries last seen at `t_cut`, shape (n,).

        A support run's end, given the others and its own cells up to the cut, follows from the precision matrix: for
        the cells F after the cut, the error is ``P_FF^-1 alpha_F`` and its covariance ``P_FF^-1`` (Rasmussen and
        Williams 2006, section 5.4.2, for blocks).
        """
        precision, alpha, log_t, real = self._blocks
        k = len(real)
        if k < 3:
            return np.ones(len(t_cut))
        cuts, which = np.unique(_log(t_cut, self.delay), return_inverse=True)
        last = real.sum(1) - 1
        after = (log_t > cuts[:, None, None] + 1e-9) & real
        after[:, np.arange(k), last] = True
        both = after[..., :, None] & after[..., None, :]
        covariance = np.linalg.inv(np.where(both, precision, np.eye(real.shape[1])))
        to_last = covariance[:, np.arange(k), last]
        error = (to_last * np.where(after, alpha, 0.0)).sum(-1)
        square = np.minimum(error**2 / to_last[:, np.arange(k), last], 25.0)
        return np.asarray(np.sqrt((square.sum(1) + WIDTH_PRIOR) / (k + WIDTH_PRIOR))[which.reshape(-1)])


@dataclass(frozen=True)
class _Queries:
    """n queries, each conditioned on the support and on its own prefix of `CELLS` cells, not on each other."""

    h: Hyperparameters
    log_t: FloatArray
    y: FloatArray
    cells: Binned
    kernel: FloatArray
    posterior: _Posterior | None
    centre: FloatArray
    unit: FloatArray
    scale: FloatArray
    delay: FloatArray

    @classmethod
    def alone(cls, prefix: PaddedCurves, cells: Binned) -> _Queries:
        """Without support."""
        unit = np.ptp(cells.y, axis=1)
        size = 1e-3 * np.abs(prefix.last) + 1e-100
        unit = np.where(unit > 1e-9 * size, unit, size)
        delay = _delay(prefix.t[:, 0], (prefix.t_last - prefix.t[:, 0]) / 100)
        y = (cells.y - prefix.last[:, None]) / unit[:, None]
        log_t = _log(cells.t, delay[:, None])
        none = np.empty((len(unit), 0))
        return cls(Hyperparameters.prior(), log_t, y, cells, none, None, prefix.last, unit, unit, delay)

    def predict(self, rows: np.ndarray, times: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean and standard deviation in the metric's unit of query `rows[i]` at `times[i]`, shape (b,)."""
        log_t = _log(times, self.delay[rows])
        half, expected = self._prefix
        ahead = self._to_support(rows, log_t[:, None])
        ahead_half, ahead_expected = _half(self.posterior, ahead)
        cross = self.h.total * self.h.time(np.abs(log_t[:, None] - self.log_t[rows]))
        cross = (cross - np.einsum("bpk,bqk->bp", half[rows], ahead_half)) * self.cells.used[rows]
        inverse = self._inverse[rows]
        pull = np.einsum("bpq,bq->bp", inverse, cross)
        mean = ahead_expected[:, 0] + (pull * np.where(self.cells.used, self.y - expected, 0.0)[rows]).sum(-1)
        prior = self.h.total + self.h.noise + JITTER - (ahead_half[:, 0] ** 2).sum(-1)
        variance = np.maximum(prior - (pull * cross).sum(-1), self.h.noise + JITTER)
        return self.centre[rows] + self.scale[rows] * mean, self.unit[rows] * np.sqrt(variance)

    def _to_support(self, rows: np.ndarray, log_t: FloatArray) -> FloatArray:
        """Covariance of query `rows[i]` at `log_t[i]` (b, m) with the support's cells, shape (b, m, N)."""
        if self.posterior is None:
            return np.empty((*log_t.shape, 0))
        cells = self.posterior.cells
        gap = np.abs(log_t[..., None] - cells.log_t)
        return np.asarray(self.kernel[rows][:, None, cells.run] * self.h.time(gap))

    @cached_property
    def _prefix(self) -> tuple[FloatArray, FloatArray]:
        """The prefixes' whitened covariance with the support (n, p, N), and what it expects of them (n, p)."""
        return _half(self.posterior, self._to_support(np.arange(len(self.y)), self.log_t))

    @cached_property
    def _inverse(self) -> FloatArray:
        """Inverse covariance of each prefix given the support, shape (n, p, p); cells without a point stand apart."""
        half, _ = self._prefix
        gap = np.abs(self.log_t[:, :, None] - self.log_t[:, None])
        noise = self.h.noise / np.maximum(self.cells.weight, 1.0) + JITTER
        eye = np.eye(gap.shape[1])
        both = self.cells.used[:, :, None] & self.cells.used[:, None]
        own = self.h.total * self.h.time(gap) - np.einsum("npk,nqk->npq", half, half) + noise[:, None] * eye
        return np.asarray(np.linalg.inv(np.where(both, own, eye)))


def _half(posterior: _Posterior | None, cross: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Covariances (b, m, N) whitened by the support's Cholesky factor, and the means (b, m) they imply."""
    if posterior is None:
        return cross, np.zeros(cross.shape[:2])
    n = cross.shape[-1]
    half = solve_triangular(posterior.lower, cross.reshape(-1, n).T, lower=True, check_finite=False)
    return np.ascontiguousarray(half.T).reshape(cross.shape), cross @ posterior.alpha


def _scale(cells: Binned) -> tuple[float, float]:
    """Median end of the runs, and the root mean square distance of all cells from it."""
    centre = float(np.median(cells.y[:, -1]))
    away = (cells.y - centre)[cells.used]
    size = 1e-6 * max(abs(centre), 1e-90)
    return centre, max(float(np.sqrt((away**2).mean())), size)


def _delay(t_first: npt.ArrayLike, step: npt.ArrayLike) -> FloatArray:
    """What to add to times that begin at or before 0, so that their logarithm exists."""
    first, gap = np.asarray(t_first, dtype=np.float64), np.asarray(step, dtype=np.float64)
    return np.where(first > 0, 0.0, np.where(gap > 0, gap, 1.0) - first)


def _log(t: FloatArray, delay: FloatArray | float) -> FloatArray:
    return np.asarray(np.log(np.maximum(t + delay, 1e-100)))


def _square(left: FloatArray, right: FloatArray, known: BoolArray, known_right: BoolArray) -> FloatArray:
    """Mean squared distances, shape (n, m); inf where a configuration is unknown."""
    if left.shape[1] != right.shape[1] or not left.shape[1]:
        return np.full((len(left), len(right)), np.inf)
    square = ((left[:, None] - right) ** 2).mean(-1)
    return np.where(known[:, None] & known_right, square, np.inf)


def _some_runs(cells: Observed, most: int) -> Observed:
    """At most `most` runs, evenly spread over the support's order."""
    k = len(cells.square)
    if k <= most:
        return cells
    chosen = np.unique(np.linspace(0, k - 1, most).round().astype(np.int64))
    mine = np.isin(cells.run, chosen)
    run = np.searchsorted(chosen, cells.run[mine])
    square = cells.square[np.ix_(chosen, chosen)]
    return Observed(run, cells.log_t[mine], cells.y[mine], cells.weight[mine], square)
