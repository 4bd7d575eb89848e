"""What a process that makes data is, and what several of them use.

A process fixes its structure once a draw (weights, trees, templates), and then makes rows. One draw is one dataset.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from metalcx.corpora.build._raw import Choice, FloatArray, Range, Rng, Settings

__all__ = ["BOTH", "CLASSIFICATION", "Process", "Sampler", "labels", "lift", "scored"]

# (generator, rows, whether they are for training) -> examples and targets.
Sampler = Callable[[Rng, int, bool], tuple[FloatArray, npt.NDArray[Any]]]

CLASSIFICATION = ("classification",)
BOTH = ("classification", "regression")

# Rows over which scores are brought to one scale: drawn for the process itself, none of them is in any part.
POPULATION = 4096


@dataclass(frozen=True)
class Process:
    """A random process, its settings, and what can be asked of its data.

    Attributes:
        draw: Fixes one structure, and returns what makes rows of it. What it draws must not depend on the task, so
            that classification and regression of one draw are about the same data.
        kind: ``vector``, ``image`` or ``sequence``.
        structure: Settings that make the family: another value is another kind of function.
        sizes: Settings of size and difficulty, which leave the family as it is.
        tasks: ``classification``, and ``regression`` where that makes sense.
    """

    draw: Callable[[Rng, Settings], Sampler]
    kind: str
    structure: Mapping[str, Range | Choice]
    sizes: Mapping[str, Range | Choice]
    tasks: tuple[str, ...] = BOTH


def scored(sample: Callable[[Rng, int], tuple[FloatArray, FloatArray]], rng: Rng, settings: Settings) -> Sampler:
    """Rows whose target is a score: the first for regression, the largest of all for classification.

    Scores are standardised over a population of their own; `noise`, in their deviations, is then added to each.

    Args:
        sample: (generator, rows) -> examples and scores, the latter (rows, classes).
        rng: Generator of the structure.
        settings: Those of the process, with `noise` and `task`.
    """
    population = sample(rng, POPULATION)[1]
    mean, deviation = population.mean(0), population.std(0)

    def rows(rng: Rng, n: int, train: bool) -> tuple[FloatArray, npt.NDArray[Any]]:
        x, scores = sample(rng, n)
        scores = (scores - mean) / deviation + settings["noise"] * rng.normal(size=scores.shape)
        return x, scores[:, 0] if settings["task"] == "regression" else scores.argmax(1)

    return rows


def labels(rng: Rng, n: int, n_classes: int) -> npt.NDArray[np.int64]:
    """Classes of `n` rows, all equally likely."""
    return rng.integers(0, n_classes, n)


def lift(rng: Rng, low: int, high: int) -> FloatArray:
    """A random map (low, high) into more dimensions that leaves lengths as they are."""
    return np.linalg.qr(rng.normal(size=(high, low)))[0].T
