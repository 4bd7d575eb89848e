"""Proxy classifiers on the history of features: their validation accuracy stands for that of the trained network.

After Cao, Wang and Kitani, Efficient Model Performance Estimation via Feature Histories, arXiv 2103.04450. The abstract
says that a proxy classifier on the history of features estimates the peak accuracy; how it is built there is not known
to us, so that everything below is our own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from scipy import linalg
from scipy.special import ndtri, softmax

from metalcx.errors import DataError
from metalcx.histories._history import FloatArray, History, IntArray
from metalcx.histories._ridge import fit_ridge

#: How checkpoints become one classifier: features side by side; their mean once each checkpoint is turned onto the
#: last; the mean of the class probabilities of a probe a checkpoint; the same of the network's own head.
Kind = Literal["concat", "mean", "consensus", "own"]
#: What is fitted: ridge, whose penalty leave-one-out chooses, or logistic regression with inner cross-validation.
Classifier = Literal["ridge", "logistic"]

#: Inverse penalties of logistic regression that are tried.
PENALTIES_INVERSE = np.logspace(-4, 1, 6)


@dataclass(frozen=True, eq=False)
class Proxy:
    """What a proxy classifier says of the sample.

    Attributes:
        train: Class probabilities of training examples by fits without them, shape (n_train, classes); for logistic
            regression and for the network's own head those of the fit itself.
        val: Class probabilities of validation examples, shape (n_val, classes).
        y_train: Classes of the training examples.
        y_val: Classes of the validation examples, which served for scoring only.
        penalty: Penalty chosen (the mean, where there are several fits); NaN for the network's own head.
    """

    train: FloatArray = field(repr=False)
    val: FloatArray = field(repr=False)
    y_train: IntArray = field(repr=False)
    y_val: IntArray = field(repr=False)
    penalty: float

    @property
    def accuracy(self) -> float:
        """Validation accuracy: the raw estimate of the peak accuracy."""
        return float((self.val.argmax(1) == self.y_val).mean())

    @property
    def train_accuracy(self) -> float:
        """Accuracy on training examples, each by a fit without it."""
        return float((self.train.argmax(1) == self.y_train).mean())

    def interval(self, width: float = 0.9) -> tuple[float, float]:
        """Wilson's interval of the accuracy: what the number of validation examples leaves open, and no more."""
        n, p, z = len(self.y_val), self.accuracy, float(ndtri(0.5 + width / 2))
        middle, spread = p + z**2 / (2 * n), z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
        return float((middle - spread) / (1 + z**2 / n)), float((middle + spread) / (1 + z**2 / n))


def fit_proxy(history: History, kind: Kind = "concat", classifier: Classifier = "ridge") -> Proxy:
    """Fit a proxy on the training part of a history.

    Args:
        history: At least one checkpoint; cut it with `History.until` first.
        kind: See `Kind`.
        classifier: See `Classifier`.

    Raises:
        DataError: If there is no checkpoint, a choice is unknown, or a class has too few examples for logistic
            regression.
    """
    if not len(history):
        raise DataError("a proxy needs at least one checkpoint; record earlier, or cut later")
    if kind not in get_args(Kind) or classifier not in get_args(Classifier):
        raise DataError(f"kind is one of {get_args(Kind)}, classifier one of {get_args(Classifier)}; got {kind!r}")
    if kind == "own":
        mine = softmax(history.outputs.astype(np.float64), axis=-1).mean(0)
        return _proxy(history, mine[: history.n_train], mine[history.n_train :], np.nan)
    z = standardised(history)
    views = z if kind == "consensus" else [_joined(z) if kind == "concat" else _aligned_mean(z, history.n_train)]
    fits = [_fit(view, history, classifier) for view in views]
    train = np.mean([train for train, _, _ in fits], axis=0)
    val = np.mean([val for _, val, _ in fits], axis=0)
    return _proxy(history, train, val, float(np.mean([penalty for _, _, penalty in fits])))


def standardised(history: History) -> FloatArray:
    """Features of each checkpoint with mean 0 and deviation 1 over the training part; shape (k, n, d)."""
    z = history.features.astype(np.float64)
    part = z[:, : history.n_train]
    mean, deviation = part.mean(1, keepdims=True), part.std(1, keepdims=True)
    # A feature that half precision holds as constant tells nothing.
    alive = deviation > 1e-3 * np.abs(mean) + 1e-7
    return np.where(alive, (z - mean) / np.where(alive, deviation, 1.0), 0.0)


def _joined(z: FloatArray) -> FloatArray:
    return np.moveaxis(z, 0, 1).reshape(z.shape[1], -1)


def _aligned_mean(z: FloatArray, n_train: int) -> FloatArray:
    """Mean of the checkpoints, each turned onto the last by orthogonal Procrustes on the training part."""
    last = z[-1]
    turned = [one @ linalg.orthogonal_procrustes(one[:n_train], last[:n_train])[0] for one in z[:-1]]
    return np.mean([*turned, last], axis=0)


def _fit(x: FloatArray, history: History, classifier: Classifier) -> tuple[FloatArray, FloatArray, float]:
    """Class probabilities of training and validation examples, and the penalty."""
    train, val = x[: history.n_train], x[history.n_train :]
    if classifier == "logistic":
        return _fit_logistic(train, val, history)
    fit = fit_ridge(train, history.y_train, history.n_classes)
    return _shares(fit.left_out), _shares(fit.scores(val)), fit.penalty


def _fit_logistic(train: FloatArray, val: FloatArray, history: History) -> tuple[FloatArray, FloatArray, float]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold

    known, counts = np.unique(history.y_train, return_counts=True)
    if counts.min() < 2 or len(known) == 1:
        raise DataError("logistic regression needs two classes at least, and two training examples of each; use ridge")
    folds = StratifiedKFold(min(5, int(counts.min())), shuffle=True, random_state=0)
    search = GridSearchCV(LogisticRegression(max_iter=500), {"C": PENALTIES_INVERSE}, cv=folds)
    model = search.fit(train, history.y_train).best_estimator_
    odds = [np.zeros((len(part), history.n_classes)) for part in (train, val)]
    for full, part in zip(odds, (train, val), strict=True):
        full[:, model.classes_] = model.predict_proba(part)
    return odds[0], odds[1], 1.0 / float(model.C)


def _shares(scores: FloatArray) -> FloatArray:
    """Least squares of targets +-1 estimates 2 p - 1; what lies outside is cut off, and rows add up to 1."""
    p = np.clip((scores + 1.0) / 2.0, 1e-6, None)
    return p / p.sum(1, keepdims=True)


def _proxy(history: History, train: FloatArray, val: FloatArray, penalty: float) -> Proxy:
    return Proxy(train, val, history.y_train, history.y_val, penalty)
