"""The regressors of sequential regression models: random search by 3-fold CV, and leave-one-out residuals."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from metalcx.curves._batch import BoolArray, FloatArray, IntArray

Setting = Mapping[str, Any]
Predict = Callable[[Setting, FloatArray, FloatArray, FloatArray], FloatArray]

#: Folds of the random search (Baker et al. 2017, section 3).
SEARCH_FOLDS = 3

#: From this many training runs on, "leave one out" leaves out one of `WIDE_FOLDS` parts, to bound its cost.
LOO_LIMIT, WIDE_FOLDS = 200, 20

#: Trees of a random forest; while searching, fewer rank the settings as well.
TREES, SEARCH_TREES = 100, 25

#: Steps after which libsvm stops. On curves, whose columns are nearly collinear, a linear kernel would go on for
#: millions without changing the forecast; a setting that suffers from it loses the search.
MAX_STEPS = 20_000

#: Ranges of C and of kernel width times number of features, both log-uniform. A linear kernel grows with the number
#: of features and is past C = 1 all but unregularised.
RANGES = {"linear": ((1e-3, 1.0), (1.0, 1.0)), "rbf": ((1e-2, 100.0), (1e-3, 10.0))}


@dataclass(frozen=True)
class Regressor:
    """One family of regressors.

    Attributes:
        default: The setting used untuned.
        draw: Draws a setting, from a generator.
        predict: ``(setting, X, z, X_query) -> z_query`` on standardised X (k, p) and z (k,).
        both: ``(setting, X, z, X_query) -> (z_query, held_out (k,))`` where the family knows a short cut to the
            leave-one-out points, else None.
        n_search: Settings tried by default; 0 where there is nothing to tune.
    """

    default: Setting
    draw: Callable[[np.random.Generator], Setting]
    predict: Predict
    both: Callable[[Setting, FloatArray, FloatArray, FloatArray], tuple[FloatArray, FloatArray]] | None = None
    n_search: int = 0


@dataclass(frozen=True)
class Fitted:
    """What one regressor says.

    Attributes:
        point: Predictions for the queries, shape (q,).
        sigma: Root mean square of the leave-one-out residuals on the training runs.
        setting: The hyperparameters used.
    """

    point: FloatArray
    sigma: float
    setting: Setting


def fit(
    regressor: Regressor, X: FloatArray, z: FloatArray, X_query: FloatArray, n_search: int, seed: tuple[int, ...]
) -> Fitted:
    """Tune on (X, z), predict the queries, and measure the width by leave-one-out.

    The order of the training runs changes nothing: they are sorted before folds are drawn.

    Args:
        regressor: One of `REGRESSORS`.
        X: Features of the training runs, shape (k, p).
        z: Their targets, shape (k,).
        X_query: Features of the queries, shape (q, p).
        n_search: Settings to try by 3-fold CV; 0 takes the default setting.
        seed: Seeds the settings drawn, the folds and the forest.
    """
    order = np.lexsort(np.column_stack([X, z]).T)
    X, z = X[order], z[order]
    rng = np.random.default_rng(seed)
    state = int(rng.integers(2**31))
    if not X.shape[1] or np.ptp(z) == 0:
        k = len(z)
        return Fitted(np.full(len(X_query), z.mean()), float(z.std() * k / max(k - 1, 1)), {})
    setting = {**regressor.default, "state": state}
    if n_search:
        setting = {**_search(regressor, X, z, n_search, rng), "state": state}
    point, held_out = _with_held_out(regressor, setting, X, z, X_query, rng)
    return Fitted(point, float(np.sqrt(np.mean((z - held_out) ** 2))), setting)


def _search(regressor: Regressor, X: FloatArray, z: FloatArray, n: int, rng: np.random.Generator) -> Setting:
    """The setting with the smallest squared error in 3-fold CV among `n` drawn ones."""
    folds = rng.permutation(len(z)) % SEARCH_FOLDS
    state = int(rng.integers(2**31))
    settings = [{**regressor.draw(rng), "state": state} for _ in range(n)]
    errors = [np.mean((_cross_validated(regressor, s, X, z, folds) - z) ** 2) for s in settings]
    return settings[int(np.argmin(errors))]


def _cross_validated(
    regressor: Regressor, setting: Setting, X: FloatArray, z: FloatArray, folds: IntArray
) -> FloatArray:
    """Points of shape (k,), each from a fit that has not seen its fold."""
    points = np.empty(len(z))
    for fold in np.unique(folds):
        out = folds == fold
        points[out] = _standardised(regressor, setting, X[~out], z[~out], X[out])
    return points


def _with_held_out(
    regressor: Regressor, setting: Setting, X: FloatArray, z: FloatArray, X_query: FloatArray, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Points of the queries (q,) and of the training runs (k,), each of the latter left out of its own fit."""
    if regressor.both is not None and _varied(X).any():
        scaled = _scale(X, z, X_query)
        point, held_out = regressor.both(setting, scaled.X, scaled.z, scaled.X_query)
        return scaled.back(point), scaled.back(held_out)
    k = len(z)
    folds = np.arange(k) if k <= LOO_LIMIT else rng.permutation(k) % WIDE_FOLDS
    held_out = _cross_validated(regressor, setting, X, z, folds)
    return _standardised(regressor, setting, X, z, X_query), held_out


def _standardised(
    regressor: Regressor, setting: Setting, X: FloatArray, z: FloatArray, X_query: FloatArray
) -> FloatArray:
    if np.ptp(z) == 0 or not _varied(X).any():
        return np.full(len(X_query), z.mean())
    scaled = _scale(X, z, X_query)
    return scaled.back(regressor.predict(setting, scaled.X, scaled.z, scaled.X_query))


class _Scaled(NamedTuple):
    """Features and targets with mean 0 and spread 1 over the training runs."""

    X: FloatArray
    z: FloatArray
    X_query: FloatArray
    mean: float
    unit: float

    def back(self, z: FloatArray) -> FloatArray:
        return self.mean + self.unit * z


def _varied(X: FloatArray) -> BoolArray:
    """Features, of p, that are more than rounding over the training runs."""
    return np.asarray(X.std(0) > 1e-9 * np.abs(X).max(0))


def _scale(X: FloatArray, z: FloatArray, X_query: FloatArray) -> _Scaled:
    # A feature that is constant over the training runs says nothing, however far a query is from it.
    varied = _varied(X)
    centre, spread = X[:, varied].mean(0), X[:, varied].std(0)
    mean, unit = float(z.mean()), float(z.std())
    scaled, asked = (X[:, varied] - centre) / spread, (X_query[:, varied] - centre) / spread
    return _Scaled(scaled, (z - mean) / unit, asked, mean, unit)


def _nu_svr(kernel: str) -> Predict:
    def predict(setting: Setting, X: FloatArray, z: FloatArray, X_query: FloatArray) -> FloatArray:
        from sklearn import config_context
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.svm import NuSVR

        gamma = setting["width"] / X.shape[1]
        model = NuSVR(kernel=kernel, nu=setting["nu"], C=setting["C"], gamma=gamma, cache_size=20, max_iter=MAX_STEPS)
        with config_context(assume_finite=True, skip_parameter_validation=True), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return np.asarray(model.fit(X, z).predict(X_query))

    return predict


def _draw_nu_svr(kernel: str) -> Callable[[np.random.Generator], Setting]:
    cost, width = (np.log(limits) for limits in RANGES[kernel])

    def draw(rng: np.random.Generator) -> Setting:
        return {"C": np.exp(rng.uniform(*cost)), "nu": rng.uniform(0.1, 1.0), "width": np.exp(rng.uniform(*width))}

    return draw


def _forest(setting: Setting, X: FloatArray, z: FloatArray) -> Any:
    from sklearn.ensemble import RandomForestRegressor

    return RandomForestRegressor(
        setting.get("trees", TREES),
        max_features=setting["max_features"],
        min_samples_leaf=setting["min_samples_leaf"],
        random_state=setting["state"],
        n_jobs=1,
    ).fit(X, z)


def _predict_forest(setting: Setting, X: FloatArray, z: FloatArray, X_query: FloatArray) -> FloatArray:
    return np.asarray(_forest({**setting, "trees": SEARCH_TREES}, X, z).predict(X_query))


def _forest_both(setting: Setting, X: FloatArray, z: FloatArray, X_query: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Held out: each run by the trees whose bootstrap sample lacks it (Breiman 2001), without any further fit."""
    forest = _forest(setting, X, z)
    k = len(z)
    total, count = np.zeros(k), np.zeros(k)
    for tree, drawn in zip(forest.estimators_, forest.estimators_samples_, strict=True):
        out = np.bincount(drawn, minlength=k) == 0
        if out.any():
            total[out] += tree.predict(X[out])
            count += out
    held_out = np.where(count > 0, total / np.maximum(count, 1), z.mean())
    return np.asarray(forest.predict(X_query)), held_out


def _draw_forest(rng: np.random.Generator) -> Setting:
    return {"max_features": rng.uniform(0.2, 1.0), "min_samples_leaf": int(rng.integers(1, 4))}


def _least_squares(setting: Setting, X: FloatArray, z: FloatArray, X_query: FloatArray) -> FloatArray:
    centre = X.mean(0)
    coefficients = np.linalg.lstsq(X - centre, z - z.mean(), rcond=None)[0]
    # Row by row: a matrix product may round a run differently in another batch.
    return np.asarray(z.mean() + (np.ascontiguousarray(X_query - centre) * coefficients).sum(1))


def _nothing(rng: np.random.Generator) -> Setting:
    return {}


_SVR_DEFAULT = {"C": 1.0, "nu": 0.5, "width": 1.0}
_FOREST_DEFAULT = {"max_features": 1.0, "min_samples_leaf": 1}

REGRESSORS: dict[str, Regressor] = {
    "nusvr-linear": Regressor(_SVR_DEFAULT, _draw_nu_svr("linear"), _nu_svr("linear"), n_search=30),
    "nusvr-rbf": Regressor(_SVR_DEFAULT, _draw_nu_svr("rbf"), _nu_svr("rbf"), n_search=30),
    "random-forest": Regressor(_FOREST_DEFAULT, _draw_forest, _predict_forest, _forest_both, n_search=5),
    "ols": Regressor({}, _nothing, _least_squares),
}
