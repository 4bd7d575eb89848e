"""Gains and their intervals: paired over tasks, and over families because tasks of one family are not independent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from metalcx.curves._batch import FloatArray

DRAWS = 10_000

#: Errors below this share of the task's scale count as this much, so that one exact forecast is no infinite gain.
TINY = 1e-6


@dataclass(frozen=True, slots=True)
class Gain:
    """1 - exp(mean over tasks of log(error a / error b)), or a mean, with 95 % intervals of two bootstraps.

    Attributes:
        value: Positive where a is better.
        tasks: Interval with tasks redrawn.
        families: Interval with families redrawn.
    """

    value: float
    tasks: tuple[float, float]
    families: tuple[float, float]


def gain(a: FloatArray, b: FloatArray, family: Sequence[str], seed: int = 0) -> Gain:
    """Gain of errors `a` over errors `b`, both of shape (tasks,), in the same order as `family`."""
    found = mean(np.log((a + TINY) / (b + TINY)), family, seed)

    def gained(interval: tuple[float, float]) -> tuple[float, float]:
        return 1.0 - float(np.exp(interval[1])), 1.0 - float(np.exp(interval[0]))

    return Gain(1.0 - float(np.exp(found.value)), gained(found.tasks), gained(found.families))


def mean(values: FloatArray, family: Sequence[str], seed: int = 0) -> Gain:
    """Mean of `values`, such as paired differences, of shape (tasks,), in the same order as `family`."""
    rng = np.random.default_rng(seed)
    by_task = values[rng.integers(0, len(values), (DRAWS, len(values)))].mean(1)
    by_family = _family_means(values, np.unique(np.asarray(family), return_inverse=True)[1], rng)
    return Gain(float(values.mean()), _interval(by_task), _interval(by_family))


def _family_means(values: FloatArray, code: npt.NDArray[np.int64], rng: np.random.Generator) -> FloatArray:
    """Means over all tasks of the families drawn, with replacement."""
    n = int(code.max()) + 1
    total, count = np.bincount(code, values, n), np.bincount(code, minlength=n)
    drawn = rng.integers(0, n, (DRAWS, n))
    means: FloatArray = total[drawn].sum(1) / count[drawn].sum(1)
    return means


def _interval(means: FloatArray) -> tuple[float, float]:
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)
