"""What can be told of a dataset from its training part in a moment, before a network is trained."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from metalcx.corpora.build._data import Data
from metalcx.corpora.build._raw import FloatArray

__all__ = ["meta_features"]

ROWS = 400  # of the training part, at most, for everything that looks at examples
FOLDS = 3


def meta_features(data: Data) -> dict[str, float | int]:
    """Size, shape, balance and simple landmarks; validation and test count only by their number of rows.

    Landmarks are accuracies or R² (no less than -1) of simple learners in three-fold cross-validation. `rank_share`
    is the exponential of the entropy of the covariance's eigenvalues, over the number of features.

    Returns:
        `n_train`, `n_val`, `n_test`, `n_features`, `n_classes` (0 for regression), `n_dims` (1 vector, 2 sequence,
        3 image), `imbalance` (entropy of the training classes over its largest value; 1 for regression),
        `component_share` (variance along the first principal component), `rank_share`, `skewness`, `kurtosis`
        (means over features of the absolute third, and of the fourth standardised moment's logarithm),
        `target_skewness` (0 for classification), `landmark_mean`, `landmark_neighbour`, `landmark_stump`,
        `landmark_tree` (depth 3), `landmark_linear`. All finite.
    """
    x = data.x_train[:ROWS].reshape(min(ROWS, len(data.x_train)), -1).astype(np.float64)
    y = data.y_train[:ROWS]
    return {
        "n_train": len(data.x_train),
        "n_val": len(data.x_val),
        "n_test": len(data.x_test),
        "n_features": x.shape[1],
        "n_classes": data.n_classes,
        "n_dims": data.x_train.ndim - 1,
        "imbalance": _imbalance(data.y_train, data.n_classes),
        **_spectrum(x),
        **_moments(x, y, data.n_classes),
        **_landmarks(x, y, data.n_classes),
    }


def _imbalance(y: npt.NDArray[Any], n_classes: int) -> float:
    if not n_classes:
        return 1.0
    shares = np.bincount(y, minlength=n_classes) / len(y)
    return float(-np.sum(shares * np.log(np.where(shares > 0, shares, 1.0))) / np.log(n_classes))


def _spectrum(x: FloatArray) -> dict[str, float]:
    variances = np.linalg.svd(x - x.mean(0), compute_uv=False) ** 2
    shares = variances / max(variances.sum(), 1e-12)
    entropy = -np.sum(shares * np.log(np.where(shares > 0, shares, 1.0)))
    return {"component_share": float(shares[0]), "rank_share": float(np.exp(entropy) / x.shape[1])}


def _moments(x: FloatArray, y: npt.NDArray[Any], n_classes: int) -> dict[str, float]:
    deviation = x.std(0)
    z = (x - x.mean(0))[:, deviation > 1e-6] / deviation[deviation > 1e-6]
    target = 0.0 if n_classes else float(np.mean(((y - y.mean()) / max(float(y.std()), 1e-6)) ** 3))
    if not z.size:
        return {"skewness": 0.0, "kurtosis": 0.0, "target_skewness": target}
    # Fourth moments of heavy tails differ by orders of magnitude.
    kurtosis = np.log((z**4).mean(0)).mean()
    return {"skewness": float(np.abs((z**3).mean(0)).mean()), "kurtosis": float(kurtosis), "target_skewness": target}


def _landmarks(x: FloatArray, y: npt.NDArray[Any], n_classes: int) -> dict[str, float]:
    """Scores of simple learners; rows are in random order, so folds go by row number."""
    targets = np.eye(n_classes)[y] if n_classes else y[:, None].astype(np.float64)
    fold = np.arange(len(x)) % FOLDS
    learners = {"mean": _mean, "neighbour": _neighbour, "stump": _stump, "tree": _tree, "linear": _ridge}
    found = {}
    for name, learner in learners.items():
        guess = np.empty_like(targets)
        for part in range(FOLDS):
            held = fold == part
            guess[held] = learner(x[~held], targets[~held], x[held])
        found[f"landmark_{name}"] = _score(guess, targets, n_classes)
    return found


def _score(guess: FloatArray, targets: FloatArray, n_classes: int) -> float:
    if n_classes:
        return float(np.mean(guess.argmax(1) == targets.argmax(1)))
    error = np.mean((guess - targets) ** 2) / max(float(targets.var()), 1e-12)
    return max(1.0 - float(error), -1.0)


def _mean(x: FloatArray, y: FloatArray, new: FloatArray) -> FloatArray:
    return np.repeat(y.mean(0, keepdims=True), len(new), 0)


def _neighbour(x: FloatArray, y: FloatArray, new: FloatArray) -> FloatArray:
    return y[((x**2).sum(1) - 2 * new @ x.T).argmin(1)]


def _stump(x: FloatArray, y: FloatArray, new: FloatArray) -> FloatArray:
    return _grown(x, y, new, 1)


def _tree(x: FloatArray, y: FloatArray, new: FloatArray) -> FloatArray:
    return _grown(x, y, new, 3)


def _grown(x: FloatArray, y: FloatArray, new: FloatArray, depth: int) -> FloatArray:
    from sklearn.tree import DecisionTreeRegressor

    # One column a class: the least squared error of indicators is Gini's impurity.
    return DecisionTreeRegressor(max_depth=depth, random_state=0).fit(x, y).predict(new).reshape(len(new), -1)


def _ridge(x: FloatArray, y: FloatArray, new: FloatArray) -> FloatArray:
    """Linear regression, on indicators of the classes where there are any; the penalty grows with the features."""
    middle, mean = x.mean(0), y.mean(0)
    centred = x - middle
    # The smaller of the two equivalent systems.
    if x.shape[1] <= len(x):
        weights = np.linalg.solve(centred.T @ centred + x.shape[1] * np.eye(x.shape[1]), centred.T @ (y - mean))
    else:
        weights = centred.T @ np.linalg.solve(centred @ centred.T + x.shape[1] * np.eye(len(x)), y - mean)
    return (new - middle) @ weights + mean
