"""The baselines that use the support alone: one expert's point, as wide as its errors on the support."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metalcx.curves import Curves, PaddedCurves
from metalcx.curves._batch import FloatArray
from metalcx.errors import DataError, name_some
from metalcx.forecasters._aligned import Aligned, align
from metalcx.forecasters._base import BaseForecaster, gaussian
from metalcx.forecasters._panel import EXPERTS, Fitted, fitted, held_out, points

NAMES = (*EXPERTS, "med5")

#: Runs whose worth the prior width keeps against the leave-one-out errors.
WIDTH_PRIOR = 2.0


@dataclass(frozen=True)
class Baseline(BaseForecaster):
    """Forecast by one simple expert, normal around its point.

    The variance is the mean square of the expert's leave-one-out errors on the support, drawn
    towards a prior from the prefix's own movement while the support is small.

    Args:
        expert: A name of `EXPERTS` (``last``, ``best``, ``shift``, ``smooth``, ``median``, ``affine``,
            ``theil_sen``, ``trend``, ``trend_shift``, ``ratio``, ``ridge``, ``gp``, ``neighbours``, ``match``),
            or ``med5``: the median of affine, shift, Theil-Sen, GP and ridge.

    Raises:
        DataError: If there is no such expert.
    """

    expert: str = "med5"

    def __post_init__(self) -> None:
        if self.expert not in NAMES:
            raise DataError(f"no expert {self.expert!r}; there is {name_some(NAMES, 99)}")

    def _predict(
        self, prefix: PaddedCurves, rows: np.ndarray, times: FloatArray, queries: Curves
    ) -> tuple[FloatArray, FloatArray]:
        aligned = align(self.support.curves, prefix, rows, times)
        known = fitted(aligned, (self.expert,))
        point = aligned.rows(points(aligned, (self.expert,), known)[..., 0])
        return point, gaussian(point, aligned.rows(np.sqrt(self._variance(aligned, known))))

    def _variance(self, a: Aligned, known: Fitted) -> FloatArray:
        prior = prior_scale(a)
        if a.k < 2:
            return prior**2
        return shrunk_variance(held_out(a, (self.expert,), known)[..., 0] - a.future, prior)


def shrunk_variance(errors: FloatArray, prior: FloatArray) -> FloatArray:
    """Mean square of leave-one-out errors (u, K), drawn towards the square of `prior` (u, Q); shape (u, Q)."""
    square = errors**2
    # The prior is bounded by what the support shows, so that one wild prefix does not decide.
    bound = 4.0 * np.maximum(square.max(1, keepdims=True), 1e-300)
    total = square.sum(1, keepdims=True) + WIDTH_PRIOR * np.minimum(prior**2, bound)
    return np.asarray(total / (errors.shape[1] + WIDTH_PRIOR))


def prior_scale(a: Aligned) -> FloatArray:
    """How far a query may still move, judged by its own prefix; shape (u, Q), positive.

    A share of the prefix's range that grows with the logarithm of the time still to go; for a flat
    or single-point prefix the support's spread, or the value's own size, stands in.
    """
    reach = np.maximum(a.query.best - a.query.last, np.ptp(a.query.means, axis=-1))
    ahead = np.log1p((a.t - a.t_cut) / np.maximum(np.abs(a.t_cut - a.t_start), 1e-12 * np.abs(a.t) + 1e-300))[:, None]
    own = 0.25 * reach * np.clip(ahead, 0.1, 4.0)
    if a.k:
        spread = 0.25 * np.abs(a.future - a.past.last).mean(1, keepdims=True)
        fallback = np.maximum(spread, 1e-6 * np.abs(a.future).max(1, keepdims=True))
    else:
        # A single point says nothing of what is to come; a flat prefix says that little came so far.
        share = np.where(a.t_cut > a.t_start, 1e-3, 0.25)[:, None]
        fallback = share * np.abs(a.query.last)
    return np.asarray(np.maximum(np.maximum(own, fallback), 1e-100))
