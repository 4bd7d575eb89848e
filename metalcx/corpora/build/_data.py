"""What a network of the corpus is trained on: a specification, and the arrays that it stands for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from metalcx.corpora.build._disturb import disturbed_examples, disturbed_labels
from metalcx.corpora.build._processes import PROCESSES, drawn
from metalcx.corpora.build._raw import FloatArray, Raw, Sizes
from metalcx.corpora.build._sklearn import bundled
from metalcx.errors import DataError

__all__ = ["Data", "DataSpec", "make", "prepare"]


@dataclass(frozen=True)
class DataSpec:
    """One task's data, by everything that they depend on.

    Attributes:
        task: Name, unique within a corpus.
        dataset: Data that tasks share: a loader of scikit-learn, or one draw of a process.
        family: Unit of hold-out: data that share examples, or draws of one process with the same structure.
        domain: ``tabular``, ``img`` or ``seq``, and ``classification`` or ``regression``.
        source: ``sklearn``, or the name of a process.
        kind: ``vector`` (n, d), ``image`` (n, channels, height, width) or ``sequence`` (n, length, channels).
        n_train: Training examples.
        n_val: Validation examples, the same for every task of a dataset that shares its classes.
        n_test: Test examples, likewise.
        seed: Names the draw, and what disturbances draw.
        settings: Of loader or process and of disturbances, sorted, fit for JSON.
    """

    task: str
    dataset: str
    family: str
    domain: str
    source: str
    kind: str
    n_train: int
    n_val: int
    n_test: int
    seed: int
    settings: tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Data:
    """Arrays in the units in which networks see them.

    Examples are float32, standardised by mean and deviation of the training part: a vector feature by feature, a
    sequence channel by channel, an image as a whole. Classes are int64 from 0; numbers to predict are float32,
    standardised by the training targets.

    Attributes:
        x_train: Training examples, shape by the kind of data.
        y_train: Training targets, shape (n_train,).
        x_val: As `x_train`.
        y_val: As `y_train`.
        x_test: As `x_train`.
        y_test: As `y_train`.
        n_classes: Classes; 0 for regression.
    """

    x_train: npt.NDArray[np.float32] = field(repr=False)
    y_train: npt.NDArray[Any] = field(repr=False)
    x_val: npt.NDArray[np.float32] = field(repr=False)
    y_val: npt.NDArray[Any] = field(repr=False)
    x_test: npt.NDArray[np.float32] = field(repr=False)
    y_test: npt.NDArray[Any] = field(repr=False)
    n_classes: int


# Over which axes an example's numbers share one scale.
SCALE_AXES: dict[str, tuple[int, ...]] = {"vector": (0,), "image": (0, 1, 2, 3), "sequence": (0, 1)}


def make(spec: DataSpec) -> Data:
    """The arrays of `spec`; the same specification gives the same arrays.

    Raises:
        DataError: No such source, more rows than there are, or a class that no training row shows.
    """
    raw = _raw(spec)
    missing = np.setdiff1d(np.arange(raw.n_classes), raw.y[0])
    if len(missing):
        raise DataError(
            f"task {spec.task!r}: no training example of class {missing[0]}; raise n_train (now {spec.n_train})"
        )
    return prepare(disturbed_labels(raw, dict(spec.settings), spec.seed), spec)


def _raw(spec: DataSpec) -> Raw:
    sizes, settings = Sizes(spec.n_train, spec.n_val, spec.n_test), dict(spec.settings)
    if spec.source == "sklearn":
        raw = bundled(settings, spec.kind, sizes, spec.seed)
    elif spec.source in PROCESSES:
        raw = drawn(spec.source, settings, sizes, spec.seed)
    else:
        raise DataError(f"task {spec.task!r}: no source {spec.source!r}; give 'sklearn' or a process")
    for part, rows, wanted in zip(("training", "validation", "test"), raw.y, sizes, strict=True):
        if len(rows) < wanted:
            raise DataError(
                f"task {spec.task!r}: {wanted} {part} rows are asked for, {len(rows)} are there; ask for fewer"
            )
    return raw


def prepare(raw: Raw, spec: DataSpec) -> Data:
    """Standardise, disturb the examples, and standardise again; training rows alone decide on scales."""
    axes, settings = SCALE_AXES[spec.kind], dict(spec.settings)
    x = _scaled(raw.x, axes)
    x = _scaled([disturbed_examples(part, i, settings, spec.seed) for i, part in enumerate(x)], axes)
    y: list[npt.NDArray[Any]] = [part.astype(np.int64) for part in raw.y]
    if not raw.n_classes:
        y = [*_single(_scaled(raw.y, (0,)))]
    train, val, test = zip(_single(x), y, strict=True)
    return Data(*train, *val, *test, raw.n_classes)


def _single(parts: list[FloatArray]) -> list[npt.NDArray[np.float32]]:
    return [np.ascontiguousarray(part, np.float32) for part in parts]


def _scaled(parts: tuple[FloatArray, ...] | list[FloatArray], axes: tuple[int, ...]) -> list[FloatArray]:
    mean, deviation = parts[0].mean(axes, keepdims=True), parts[0].std(axes, keepdims=True)
    # A pixel that is always blank in training has no scale of its own; rounding must not give it one.
    safe = np.where(deviation > 1e-9 * (1.0 + np.abs(mean)), deviation, 1.0)
    return [(part - mean) / safe for part in parts]
