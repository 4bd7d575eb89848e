"""From scores, which only order runs, to values: an increasing line, learned from the support's held-out scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from metalcx.curves._batch import FloatArray

#: Runs whose worth a line keeps that leaves scores as they are, and errors as large as the anchor says.
PRIOR = 8.0

#: Standard deviation, in anchors, where the mean absolute error is one.
USUAL = float(np.sqrt(np.pi / 2))

#: An error beyond so many anchors, such as that of a run that diverged, counts as this.
MOST = 10.0


@dataclass(frozen=True)
class Calibration:
    """An increasing line from score to value, and errors of it, at each of several cuts.

    Least squares with a prior: with few runs the line is that of the score itself, which lies around the centre of the
    experts. The slope is never below 0, so that the order of values is that of scores.

    Attributes:
        cuts: Times, ascending, shape (cuts,).
        lift: What is added, in anchors, shape (cuts,).
        slope: Factor on a score's distance from the middle of the support, in [0, 2], shape (cuts,).
        sigma: Standard deviation of leave-one-out errors, in anchors, shape (cuts,).
    """

    cuts: FloatArray
    lift: FloatArray
    slope: FloatArray
    sigma: FloatArray

    @classmethod
    def none(cls) -> Self:
        """That of no support: scores as they are."""
        return cls(np.zeros(1), np.zeros(1), np.ones(1), np.full(1, USUAL))

    @classmethod
    def fitted(
        cls, cuts: FloatArray, score: FloatArray, anchor: FloatArray, outcome: FloatArray, middle: float
    ) -> Self:
        """Learn from L support runs, each scored without itself at each cut.

        Args:
            cuts: Times, shape (cuts,).
            score: Shape (cuts, L).
            anchor: Shape (cuts, L).
            outcome: What came of them, shape (cuts, L).
            middle: Of the support at that time.
        """
        miss = np.clip((outcome - score) / anchor, -MOST, MOST)
        place = np.clip((score - middle) / anchor, -1e3, 1e3)
        lift, tilt, centre = _line(place, miss, np.zeros_like(miss))
        apart_lift, apart_tilt, apart_centre = _line(place, miss, np.ones_like(miss))
        wrong = miss - apart_lift - apart_tilt * (place - apart_centre)
        sigma = np.sqrt((np.square(wrong).sum(1) + PRIOR * USUAL**2) / (wrong.shape[1] + PRIOR))
        return cls(cuts, (lift - tilt * centre)[:, 0], 1 + tilt[:, 0], sigma)

    def __call__(
        self, score: FloatArray, anchor: FloatArray, middle: FloatArray, t_cut: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Points and standard deviations of b scores, shape (b,) each.

        Args:
            score: Shape (b,).
            anchor: Shape (b,).
            middle: Of the support at the times asked for, shape (b,).
            t_cut: When the runs were last seen, shape (b,).
        """
        lift, slope, sigma = (np.interp(t_cut, self.cuts, own) for own in (self.lift, self.slope, self.sigma))
        return score + anchor * lift + (slope - 1) * (score - middle), anchor * sigma

    # What the hub stores.

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """All of it."""
        return dict(vars(self))


def _line(x: FloatArray, y: FloatArray, without: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Level, slope and pivot of y over x, a line a row, from all columns less `without` times the own one; (c, L)."""
    n = x.shape[1] - without
    sums = [part.sum(1, keepdims=True) - without * part for part in (x, y, x * x, x * y)]
    mean_x, mean_y, square, product = (part / np.maximum(n, 1) for part in sums)
    spread, both = np.maximum(square - mean_x**2, 0.0), product - mean_x * mean_y
    slope = np.clip(n * both / (n * spread + PRIOR), -1.0, 1.0)
    return n / (n + PRIOR) * mean_y, slope, mean_x
