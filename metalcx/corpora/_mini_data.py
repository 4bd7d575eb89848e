"""Data of the mini corpus: bundled with scikit-learn, split once a dataset, scaled by the training part alone."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from metalcx.errors import DataError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

SPLIT_SEED = 20_26


@dataclass(frozen=True)
class TaskSpec:
    """What one task trains on and how it is measured.

    Attributes:
        task: Name of the task.
        dataset: Name of the scikit-learn loader without ``load_``.
        family: The word under which other corpora know data that share examples with it.
        net: ``mlp`` or ``cnn``.
        metric: Primary metric.
        n_train: Training examples, the first of a fixed permutation of what is not validation.
        n_val: Validation examples, the same for every task of a dataset.
        epochs: Budget of every run.
        label_noise: Share of the training labels that are replaced by a class drawn at random.
        pixel_noise: Standard deviation of Gaussian noise added once to all images, in standard deviations of a pixel.
        patience: Whether some runs stop early (status ``censored``).
        batch_sizes: From which a run draws its own.
        n_arch: Architectures drawn for the task; runs share them.
    """

    task: str
    dataset: str
    family: str
    net: str
    metric: str
    n_train: int
    n_val: int
    epochs: int
    label_noise: float = 0.0
    pixel_noise: float = 0.0
    patience: bool = False
    batch_sizes: tuple[int, ...] = (16, 32, 64)
    n_arch: int = 16

    @property
    def regression(self) -> bool:
        """Whether the target is a number."""
        return self.metric == "val_r2"


@dataclass(frozen=True)
class Split:
    """Training and validation data in the units in which networks see them.

    Attributes:
        x_train: (n_train, features), or (n_train, 1, side, side) for images.
        y_train: Class numbers, or standardised targets, shape (n_train,).
        x_val: As `x_train`.
        y_val: As `y_train`.
        n_classes: Classes; 0 for regression.
        n_features: Numbers an example has.
    """

    x_train: FloatArray = field(repr=False)
    y_train: npt.NDArray[Any] = field(repr=False)
    x_val: FloatArray = field(repr=False)
    y_val: npt.NDArray[Any] = field(repr=False)
    n_classes: int = 0
    n_features: int = 0


def load(dataset: str) -> tuple[FloatArray, FloatArray]:
    """Raw examples (n, features) and targets (n,) of a dataset that scikit-learn carries; no network."""
    from sklearn import datasets

    # Diabetes comes pre-scaled over all its rows by default: the raw numbers, so that validation has no say in it.
    options = {"scaled": False} if dataset == "diabetes" else {}
    found = getattr(datasets, f"load_{dataset}")(**options)
    return np.asarray(found.data, np.float64), np.asarray(found.target, np.float64)


def split_rows(dataset: str, y: FloatArray, n_train: int, n_val: int) -> tuple[IntArray, IntArray]:
    """Row numbers of training and validation; fixed by the dataset, a smaller `n_train` is part of a larger one."""
    order = np.random.default_rng([SPLIT_SEED, zlib.crc32(dataset.encode())]).permutation(len(y))
    if n_train + n_val > len(y):
        raise DataError(f"{dataset} has {len(y)} rows; {n_train} + {n_val} are asked for; ask for fewer")
    return order[n_val : n_val + n_train], order[:n_val]


def prepare(spec: TaskSpec) -> Split:
    """Split, disturb where the task says so, and scale with the mean and deviation of the training part."""
    x, y = load(spec.dataset)
    train, val = split_rows(spec.dataset, y, spec.n_train, spec.n_val)
    rng = np.random.default_rng([SPLIT_SEED, zlib.crc32(spec.task.encode())])
    axis = 0 if spec.net == "mlp" else None  # an image has one scale for all its pixels
    if spec.pixel_noise:
        x = x + spec.pixel_noise * x[train].std() * rng.normal(size=x.shape)
    x_train, x_val = _scaled(x[train], x[val], axis)
    if spec.net == "cnn":
        side = round(x.shape[1] ** 0.5)
        x_train, x_val = (part.reshape(-1, 1, side, side) for part in (x_train, x_val))
    if spec.regression:
        y_train, y_val = _scaled(y[train], y[val], 0)
        return Split(x_train, y_train, x_val, y_val, 0, x.shape[1])
    labels = y.astype(np.int64)
    n_classes = int(labels.max()) + 1
    noisy = labels[train].copy()
    hit = rng.random(len(noisy)) < spec.label_noise
    noisy[hit] = rng.integers(0, n_classes, int(hit.sum()))
    return Split(x_train, noisy, x_val, labels[val], n_classes, x.shape[1])


def _scaled(train: FloatArray, val: FloatArray, axis: int | None) -> tuple[FloatArray, FloatArray]:
    mean, deviation = train.mean(axis), train.std(axis)
    # A pixel that is always blank in training has no scale of its own.
    safe = np.where(deviation > 0, deviation, 1.0)
    return (train - mean) / safe, (val - mean) / safe
