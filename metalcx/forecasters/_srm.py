"""Sequential regression models (Baker et al. 2017): one regressor for each observed length and time asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

import numpy as np

from metalcx.curves import Curves, PaddedCurves
from metalcx.curves._batch import FloatArray
from metalcx.errors import DataError, name_some
from metalcx.forecasters._base import BaseForecaster, gaussian
from metalcx.forecasters._simple import Baseline
from metalcx.forecasters._srm_cells import Cell, place
from metalcx.forecasters._srm_features import Encoder, description, is_architecture, time_series
from metalcx.forecasters._srm_regressors import REGRESSORS, fit

FEATURES = ("TS", "AP", "HP")

RegressorName = Literal["nusvr-linear", "nusvr-rbf", "random-forest", "ols"]


@dataclass(frozen=True)
class SRM(BaseForecaster):
    """Sequential regression models of Baker, Gupta, Raskar and Naik 2017 (arXiv 1705.10823).

    For each observed length tau and time asked T, one regressor learns from the support to predict
    the value at T from the values up to tau with their first and second differences (TS), the
    architecture (AP) and the training hyperparameters (HP), all standardised. Its hyperparameters
    are found by random search with 3-fold cross-validation on the support. The forecast is
    ``y_T ~ N(y_hat, sigma(tau)^2)``: sigma is the root mean square of the regressor's leave-one-out
    residuals on the support (for random forests the out-of-bag ones; above 200 runs by 20 folds), the same
    for all queries.

    Where the paper is silent:

    - With fewer than `min_support` runs it falls back to the last value plus the support's median
      gain, as ``Baseline("shift")``; with none, to the last value.
    - If the support shares a time grid that most of its runs finish, and a query lies on that grid,
      the regressors are exact for its length. Times asked before the support's end are exact where
      at most `max_targets` grid points lie between the cut and the end; otherwise that many are
      fitted and the times between them interpolated.
    - Elsewhere (ragged or irregular curves) each query would need a regressor of its own. Then T and
      T / tau are rounded to geometric grids (steps of 50 % and 20 %), the prefix is resampled at up to
      16 times equally spaced from its first to its last point, and a support run that ended before T
      is compared by progress. The rounding depends on the query and the support alone, never on other queries.
    - A diverged support run ends at the floor of `Support`.

    Args:
        regressor: ``nusvr-linear``, ``nusvr-rbf``, ``random-forest`` or ``ols``.
        features: Any of ``TS``, ``AP``, ``HP``.
        tuned: Whether to search hyperparameters; otherwise the regressor's defaults.
        n_search: Settings tried; None for 30 (nu-SVR) or 6 (forest).
        target: ``value`` regresses y_T as the paper does; ``gain`` regresses y_T - y_tau, which with
            little support shrinks to the mean gain instead of the mean value.
        min_support: Runs below which the shift stands in.
        max_targets: Regressors for one observed length.
        architecture_columns: Configuration columns that are AP; None to go by well-known names
            (``num_params``, ``depth``, ``n_layer`` ...). All other columns are HP.
        architectures: Further AP: numbers or words known of each `Curves.arch`, by its id.
        seed: Seeds search, folds and forests, together with that of `adapt`.

    Raises:
        DataError: On an unknown regressor, feature or target, or a count that makes no sense.
    """

    regressor: RegressorName = "nusvr-rbf"
    features: tuple[str, ...] = FEATURES
    tuned: bool = True
    n_search: int | None = None
    target: Literal["value", "gain"] = "value"
    min_support: int = 5
    max_targets: int = 8
    architecture_columns: tuple[str, ...] | None = None
    architectures: Mapping[Any, Mapping[str, Any]] | None = field(default=None, repr=False)
    seed: int = 0
    adapt_seed: int = field(default=0, kw_only=True, repr=False)

    def __post_init__(self) -> None:
        if self.regressor not in REGRESSORS:
            raise DataError(f"no regressor {self.regressor!r}; there is {name_some(REGRESSORS, 9)}")
        unknown = [f for f in self.features if f not in FEATURES]
        if unknown or not self.features:
            raise DataError(f"features {self.features!r} are not some of {FEATURES}; name one or more of these")
        if self.target not in ("value", "gain"):
            raise DataError(f"target {self.target!r} is neither 'value' nor 'gain'; choose one of them")
        if self.min_support < 3 or self.max_targets < 1 or (self.n_search is not None and self.n_search < 1):
            raise DataError("min_support must be at least 3 (folds), max_targets and n_search at least 1; raise them")

    def _fitted(self, steps: int | None, seed: int) -> Self:
        return replace(self, adapt_seed=seed)

    def _predict(
        self, prefix: PaddedCurves, rows: np.ndarray, times: FloatArray, queries: Curves
    ) -> tuple[FloatArray, FloatArray]:
        if len(self.support) < self.min_support:
            return Baseline("shift", support=self.support)._predict(prefix, rows, times, queries)
        known, asked = self._static(queries)
        cells = place(self.support.curves, prefix, rows, times, self.max_targets)
        point, sigma = np.zeros(len(rows)), np.zeros(len(rows))
        for cell, requests in cells.items():
            index, weight = np.array(requests.index), np.array(requests.weight)
            own, position = np.unique(rows[index], return_inverse=True)
            seen = prefix.take(own)
            # The share of the cut itself in an interpolated forecast: the last value, known exactly.
            y_hat, width = (seen.last, 0.0) if cell is None else self._regress(cell, seen, known, asked[own])
            point[index] += weight * y_hat[position]
            sigma[index] += weight * width
        return point, gaussian(point, np.maximum(sigma, 1e-12))

    def _regress(
        self, cell: Cell, queries: PaddedCurves, known: FloatArray, asked: FloatArray
    ) -> tuple[FloatArray, float]:
        """Points of the queries, shape (q,), and sigma."""
        past, future = cell.support(self.support.curves)
        seen = cell.queries(queries)
        X, X_query = known, asked
        if "TS" in self.features:
            X = np.concatenate([time_series(past), known], 1)
            X_query = np.concatenate([time_series(seen), asked], 1)
        last, base = (seen[:, -1], past[:, -1]) if self.target == "gain" else (0.0, 0.0)
        chosen = REGRESSORS[self.regressor]
        n_search = chosen.n_search if self.n_search is None or not chosen.n_search else self.n_search
        seeds = (self.seed, self.adapt_seed)
        fitted = fit(chosen, X, future - base, X_query, n_search if self.tuned else 0, seeds)
        return last + fitted.point, fitted.sigma

    def _static(self, queries: Curves) -> tuple[FloatArray, FloatArray]:
        """AP and HP of the support (k, p) and of the queries (n, p)."""
        source = self.support.source
        kinds = {kind for kind in self.features if kind != "TS"}
        if source is None or not kinds:
            return np.empty((len(self.support), 0)), np.empty((len(queries), 0))
        frame = description(source, self.architectures)
        encode = Encoder.of(frame, self._wanted(kinds))
        return encode(frame), encode(description(queries, self.architectures))

    def _wanted(self, kinds: set[str]) -> Callable[[str], bool]:
        named = self.architecture_columns

        def kind(name: str) -> str:
            about_network = is_architecture(name) if named is None else name in named
            return "AP" if name.startswith("arch.") or about_network else "HP"

        return lambda name: kind(name) in kinds
