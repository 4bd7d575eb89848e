"""Parametric extrapolation of each run's own prefix, recalibrated on the support."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metalcx.curves import Curves, PaddedCurves
from metalcx.curves._batch import FloatArray, IntArray
from metalcx.errors import DataError, name_some
from metalcx.forecasters._aligned import Aligned, align, others_of
from metalcx.forecasters._base import BaseForecaster, gaussian
from metalcx.forecasters._binning import binned, points_before
from metalcx.forecasters._families import FAMILIES, Fit, fit
from metalcx.forecasters._memory import remembered
from metalcx.forecasters._simple import prior_scale, shrunk_variance

#: Points to which a prefix is averaged before it is fitted.
BINS = 32

#: Prefixes fitted in one go, so that memory stays small.
CHUNK = 512

#: Shares of the fitted move among which leave-one-out chooses, the first where it cannot.
TRUST = np.array([1.0, 0.75, 0.5, 0.25, 0.0])

#: How far beyond the prefix's own range a curve may still rise and fall, in units of that range.
RISE, FALL = 2.0, 1.0


@dataclass(frozen=True)
class PowerLaw(BaseForecaster):
    """Parametric curves fitted to each prefix, recalibrated on the support.

    Families of Domhan et al. (2015, "Speeding up automatic hyperparameter optimization of deep neural networks by
    extrapolation of learning curves") and Viering and Loog (2022, "The shape of learning curves: a review"), fitted by
    variable projection to at most `BINS` averaged points. The last value moves as the fitted curve does. The same is
    done to every support run cut where the query is: the share of the fitted move that is trusted is chosen there by
    leave-one-out, the median of what it misses is added, and the leave-one-out errors are the forecast's width.
    A curve may leave the range of its prefix by `RISE` (better) or `FALL` (worse) times that range, so that no
    heavy-tailed fit runs away; up to three points, the fit does not move.

    Args:
        family: ``exp3``, ``ilog2``, ``log_power``, ``mmf4``, ``pow3``, ``pow4``, ``weibull`` (also exp4, Janoschek),
            ``constant``, or ``best``: their mean by weights of the corrected Akaike criterion (Burnham and Anderson
            2002, eq. 2.9) on the prefix.

    Raises:
        DataError: If there is no such family.
    """

    family: str = "best"

    def __post_init__(self) -> None:
        if self.family != "best" and self.family not in FAMILIES:
            raise DataError(f"no family {self.family!r}; there is 'best', {name_some(FAMILIES, 99)}")

    def _predict(
        self, prefix: PaddedCurves, rows: np.ndarray, times: FloatArray, queries: Curves
    ) -> tuple[FloatArray, FloatArray]:
        a = align(self.support.curves, prefix, rows, times)
        names = tuple(FAMILIES) if self.family == "best" else (self.family,)
        asked, which = np.unique(rows, return_inverse=True)
        own = _extrapolate(prefix.take(asked), prefix.length[asked], which.reshape(-1), times, names)
        moves, gains = self._on_support(a, names) - a.past.last, a.future - a.past.last
        trust, shift, errors = _recalibrate(moves, gains)
        last, pair = prefix.last[rows], a.place[0]
        point = np.maximum(last + trust[pair] * (own - last) + shift[pair], self.support.floor)
        variance = shrunk_variance(errors, prior_scale(a)) if a.k > 1 else prior_scale(a) ** 2
        return point, gaussian(point, np.sqrt(a.rows(variance)))

    def _on_support(self, a: Aligned, names: tuple[str, ...]) -> FloatArray:
        """What the fit says of each support run from the query's cut, shape (u, K)."""
        curves = self.support.curves
        if not a.k:
            return np.empty(a.future.shape)
        length = points_before(curves, (a.t_cut[:, None] * a.stretch).T)
        run = np.broadcast_to(np.arange(a.k)[:, None], length.shape)
        # Forecasts of one prefix at many times share its fit.
        stride = int(length.max()) + 1
        prefixes, which = np.unique(run * stride + length, return_inverse=True)
        run, length = prefixes // stride, prefixes % stride
        times = (a.t[:, None] * a.stretch).T.ravel()
        ends = _extrapolate(curves.take(run), length, which.reshape(-1), times, names)
        return ends.reshape(a.k, -1).T


def _recalibrate(moves: FloatArray, gains: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """How far to trust the fitted moves (u,), what to add (u,), and the leave-one-out errors (u, K).

    Of ``gain = trust * move + shift``, the shift is a median and the trust is chosen from `TRUST` by leave-one-out.
    """
    u, k = gains.shape
    if k < 2:
        return np.ones(u), (gains - moves).sum(1), np.empty((u, 0))
    rest = gains[:, None] - TRUST[:, None] * moves[:, None]
    others = others_of(k)
    errors = rest - np.median(rest[..., others], -1)
    chosen = np.argmin(np.abs(errors).sum(-1), 1) if k > 2 else np.zeros(u, dtype=np.int64)
    row = np.arange(u)
    return TRUST[chosen], np.median(rest[row, chosen], -1), errors[row, chosen]


@remembered
def _extrapolate(
    curves: PaddedCurves, length: IntArray, which: IntArray, times: FloatArray, names: tuple[str, ...]
) -> FloatArray:
    """Fit the first `length` points of each curve and read fit `which[i]` at `times[i]`; shape (m,)."""
    result = np.empty(len(times))
    for start in range(0, len(length), CHUNK):
        mine = (which >= start) & (which < start + CHUNK)
        part = slice(start, start + CHUNK)
        prefixes = _Prefixes.of(curves.take(np.arange(len(length))[part]), length[part])
        result[mine] = prefixes.extrapolate(names, which[mine] - start, times[mine])
    return result


@dataclass(frozen=True)
class _Prefixes:
    """n prefixes in their own units: time over the last time, values from the last over the range."""

    log_t: FloatArray
    y: FloatArray
    weight: FloatArray
    last: FloatArray
    unit: FloatArray
    delay: FloatArray
    t_last: FloatArray
    length: IntArray

    @classmethod
    def of(cls, curves: PaddedCurves, length: IntArray) -> _Prefixes:
        row = np.arange(len(curves))
        cells = binned(curves, length, BINS)
        t_last, last = curves.t[row, length - 1], curves.y[row, length - 1]
        step = curves.t[row, np.minimum(1, length - 1)] - curves.t[:, 0]
        # The families begin at t = 0, where some are infinite: a curve measured before training is moved by one step.
        delay = np.where(curves.t[:, 0] <= 0, np.where(step > 0, step, 1.0) - curves.t[:, 0], 0.0)
        unit = np.ptp(cells.y, axis=1)
        unit = np.where(unit > 1e-12 * np.abs(cells.y).max(1), unit, 0.0)
        log_t = np.log((cells.t + delay[:, None]) / (t_last + delay)[:, None])
        y = (cells.y - last[:, None]) / np.where(unit > 0, unit, 1.0)[:, None]
        return cls(log_t, y, cells.weight, last, unit, delay, t_last, length)

    def extrapolate(self, names: tuple[str, ...], which: IntArray, times: FloatArray) -> FloatArray:
        """Values at `times` of prefix `which[i]`, shape (m,)."""
        ahead = np.log((times + self.delay[which]) / (self.t_last + self.delay)[which])
        fits = [self._fit(name) for name in names]
        weights = self._weights(fits)[which]
        origin = self.log_t[which, 0]
        level = (self.last / np.where(self.unit > 0, self.unit, 1.0))[which]
        low, high = self.y.min(1)[which] - FALL, self.y.max(1)[which] + RISE
        now = np.zeros(len(times))
        # A sum in a fixed order: a matrix product may round differently in another batch.
        move = np.zeros(len(times))
        for f, weight in zip(fits, weights.T, strict=True):
            zero = 0.0 if f.family.offset else level
            then, here = (np.clip(f.at(x, origin, which) - zero, low, high) for x in (ahead, now))
            move = move + weight * (then - here)
        usable = ((self.unit > 0) & (self.length > 3))[which]
        return self.last[which] + np.where(usable, move * self.unit[which], 0.0)

    def _fit(self, name: str) -> Fit:
        family = FAMILIES[name]
        zero = 0.0 if family.offset else self.last / np.where(self.unit > 0, self.unit, 1.0)
        return fit(family, self.log_t, self.y + np.reshape(zero, (-1, 1)), self.weight, self.log_t[:, 0])

    def _weights(self, fits: list[Fit]) -> FloatArray:
        """Akaike weights of the families, shape (n, families); cells count as observations."""
        n = (self.weight > 0).sum(1)
        scores = []
        for f in fits:
            p = f.family.n_parameters
            noise = np.maximum(f.sse / self.weight.sum(1), 1e-14)
            scores.append(n * np.log(noise) + 2 * p + 2 * p * (p + 1) / np.maximum(n - p - 1, 0.5))
        score = np.stack(scores, 1)
        weight = np.exp(-0.5 * (score - score.min(1, keepdims=True)))
        return np.asarray(weight / weight.sum(1, keepdims=True))
