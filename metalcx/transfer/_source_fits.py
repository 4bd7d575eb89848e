"""Surrogates of source tasks, all linear in the same features: what is common to them, and what is each one's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from metalcx.curves._batch import BoolArray, FloatArray, IntArray
from metalcx.transfer._sources import Source

#: Rows that are multiplied at once.
CHUNK = 8192


@dataclass(frozen=True, eq=False)
class SourceFits:
    """Ridge regressions of every source's scores; any of them can be left out at no cost.

    Attributes:
        features: Of all candidates of the sources, shape (n, f).
        tasks: The sources.
    """

    features: npt.NDArray[np.float32]
    tasks: tuple[Source, ...]
    #: What was asked last: a benchmark asks for the same again and again.
    _solved: dict[tuple[bytes, float, float], tuple[FloatArray, FloatArray]] = field(default_factory=dict, repr=False)

    @cached_property
    def grams(self) -> npt.NDArray[np.float32]:
        """Products of the features of each source's candidates, shape (tasks, f, f)."""
        return np.stack([_gram(self.features, task.rows) for task in self.tasks])

    @cached_property
    def sums(self) -> FloatArray:
        """Products of features and scores of each source, shape (tasks, f)."""
        return np.stack([task.score @ self.features[task.rows].astype(np.float64) for task in self.tasks])

    def kept(self, families: Sequence[str]) -> BoolArray:
        """Which tasks are of none of these families, shape (tasks,)."""
        return np.array([task.family not in families for task in self.tasks], dtype=bool)

    def weights(self, kept: BoolArray) -> FloatArray:
        """How much each task counts, the same for every family, in all 1, shape (tasks,)."""
        family = np.array([task.family for task in self.tasks])
        shared = (family[:, None] == family) & kept
        weight = np.where(kept, 1.0 / np.maximum(shared.sum(1), 1), 0.0)
        return np.asarray(weight / max(weight.sum(), 1e-12), dtype=np.float64)

    def solve(self, kept: BoolArray, common: float, own: float) -> tuple[FloatArray, FloatArray]:
        """Coefficients of what is common, shape (f,), and of all that each kept source says, shape (kept, f).

        Args:
            kept: Which sources are learned from, shape (tasks,).
            common: Penalty on what is common, in noise variances.
            own: Penalty on what is a source's own.
        """
        if (asked := (kept.tobytes(), common, own)) not in self._solved:
            self._solved.clear()
            self._solved[asked] = self._solve(kept, common, own)
        return self._solved[asked]

    def _solve(self, kept: BoolArray, common: float, own: float) -> tuple[FloatArray, FloatArray]:
        from scipy.linalg import solve

        eye = np.eye(self.features.shape[1])
        places = np.flatnonzero(kept)
        total = self.grams[places].sum(0, dtype=np.float64)
        shared = solve(total + common * eye, self.sums[places].sum(0), assume_a="pos")
        each = [
            shared + solve(self.grams[i] + own * eye, self.sums[i] - self.grams[i] @ shared, assume_a="pos")
            for i in places
        ]
        return shared, np.array(each).reshape(len(places), -1)


def _gram(features: npt.NDArray[np.float32], rows: IntArray) -> npt.NDArray[np.float32]:
    total = np.zeros((features.shape[1],) * 2, np.float32)
    for start in range(0, len(rows), CHUNK):
        part = features[rows[start : start + CHUNK]]
        total += part.T @ part
    return total
