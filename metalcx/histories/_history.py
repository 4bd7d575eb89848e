"""The history of features of one run, and how it is kept on disk."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from metalcx.errors import DataError

Half = npt.NDArray[np.float16]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class History:
    """Features of a fixed sample at k checkpoints of one run, by time.

    Attributes:
        t: When checkpoints were taken, shape (k,), ascending.
        features: Input of the last linear layer, half precision, shape (k, n, d); rows of the training part first.
        outputs: The network's own class scores, half precision, shape (k, n, classes); a row's level means nothing.
        labels: Classes, shape (n,).
        n_train: How many rows are of the training part.

    Raises:
        DataError: If shapes disagree, or a time repeats.
    """

    t: FloatArray
    features: Half = field(repr=False)
    outputs: Half = field(repr=False)
    labels: IntArray = field(repr=False)
    n_train: int

    def __post_init__(self) -> None:
        order = np.argsort(self.t, kind="stable")
        k, n = len(self.t), len(self.labels)
        if self.features.shape[:2] != (k, n) or self.outputs.shape[:2] != (k, n):
            raise DataError(
                f"{k} checkpoints of {n} examples do not fit features of shape {self.features.shape} and outputs of "
                f"shape {self.outputs.shape}"
            )
        if not 0 <= self.n_train <= n:
            raise DataError(f"the training part has {self.n_train} of {n} examples; give a number from 0 to {n}")
        if not np.isfinite(self.t).all() or (np.diff(np.sort(self.t)) == 0).any():
            raise DataError(f"times of checkpoints are numbers, none of them twice; got {self.t}")
        # Whatever order they come in, time is what orders them.
        for name in ("t", "features", "outputs"):
            object.__setattr__(self, name, np.asarray(getattr(self, name))[order])

    def __len__(self) -> int:
        """Number of checkpoints."""
        return len(self.t)

    @property
    def n_classes(self) -> int:
        """Classes that the network tells apart."""
        return self.outputs.shape[2]

    @property
    def y_train(self) -> IntArray:
        """Classes of the training part."""
        return self.labels[: self.n_train]

    @property
    def y_val(self) -> IntArray:
        """Classes of the validation part."""
        return self.labels[self.n_train :]

    def until(self, t: float) -> History:
        """What was known at time `t`: later checkpoints are gone."""
        return self.take(self.t <= t)

    def take(self, index: npt.ArrayLike) -> History:
        """The checkpoints at `index`, positions or a mask."""
        rows = np.asarray(index)
        return replace(self, t=self.t[rows], features=self.features[rows], outputs=self.outputs[rows])

    def own_accuracy(self) -> FloatArray:
        """Validation accuracy of the network itself at each checkpoint, shape (k,)."""
        return (self.outputs[:, self.n_train :].argmax(-1) == self.y_val).mean(-1)

    def save(self, path: str | Path) -> None:
        """Write one safetensors file."""
        from safetensors.numpy import save_file

        tensors: dict[str, Any] = {name: getattr(self, name) for name in ("t", "features", "outputs", "labels")}
        save_file({n: np.ascontiguousarray(a) for n, a in tensors.items()}, path, {"n_train": str(self.n_train)})

    @classmethod
    def load(cls, path: str | Path) -> History:
        """Read what `save` wrote.

        Raises:
            DataError: If the file is missing, damaged, or no history.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, "np") as file:
                tensors = {name: file.get_tensor(name) for name in ("t", "features", "outputs", "labels")}
                return cls(**tensors, n_train=int(file.metadata()["n_train"]))
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path}: holds no history of features ({error}); record it again") from error


def refuse_one_class(y_train: Any) -> None:
    """Raise where the labels of a training part are all the same: above such a guess no accuracy is skill."""
    if len(y_train) and bool((y_train == y_train[0]).all()):
        raise DataError(
            f"the training part has {len(y_train)} examples, all of one class; draw more, or from all classes"
        )
