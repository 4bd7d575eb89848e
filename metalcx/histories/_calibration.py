"""What other datasets taught about how proxies relate to the peak: a Gaussian process over runs of many tasks.

Its kernel has a part that all tasks share and a part of each task's own, so that runs of a new task that have finished
correct it as far as they say something: adaptation is conditioning (Rasmussen and Williams 2006, eqs. 2.25 and 2.26).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product

import numpy as np
from scipy import linalg

from metalcx.errors import DataError
from metalcx.histories._history import FloatArray
from metalcx.histories._inputs import N_INPUTS, Lessons
from metalcx.protocol import LEVELS

#: Rows that are kept; the cost of learning grows with the third power.
MOST_ROWS = 1500


@dataclass(frozen=True)
class Kernel:
    """Variances and lengths, in units of the inputs' and the target's deviations.

    Attributes:
        length: Of the common part.
        linear: Variance of the common linear part.
        noise: Variance of what the inputs do not tell.
        own: Variance of what is a task's own, half of it the same for all its runs.
        own_length: Of the task's own part.
    """

    length: float = 6.0
    linear: float = 0.5
    noise: float = 0.5
    own: float = 0.2
    own_length: float = 6.0

    def common(self, a: FloatArray, b: FloatArray) -> FloatArray:
        """Covariance that all tasks share, shape (len(a), len(b))."""
        return _rbf(a, b, self.length) + self.linear * (a @ b.T) / a.shape[1]

    def private(self, a: FloatArray, b: FloatArray) -> FloatArray:
        """Covariance of runs of one task beyond that."""
        return self.own * (0.5 + 0.5 * _rbf(a, b, self.own_length))


def _rbf(a: FloatArray, b: FloatArray, length: float) -> FloatArray:
    square = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2.0 * a @ b.T
    return np.exp(-np.maximum(square, 0.0) / (2.0 * length**2))


#: What is chosen among on source tasks.
CHOICES = tuple(Kernel(a, 0.5, n, o, a) for a, n, o in product((3.0, 4.0, 8.0), (0.5, 1.0, 2.0), (0.05, 0.2)))


@dataclass(frozen=True, eq=False)
class Calibration:
    """A Gaussian process on the lessons of source tasks; use `Calibration.learn`.

    Attributes:
        lessons: Rows that are kept, inputs and targets standardised.
        kernel: Its kernel.
        middle: Mean and deviation of inputs, shape (2, N_INPUTS); those of targets at the end, so (2, N_INPUTS + 1).
        width: Logarithm of the variance of errors on tasks left out, on 1, the inputs' share and the forecast:
            shape (3,).
        shape: Quantiles at `LEVELS` of such errors, each in units of its deviation.
    """

    lessons: Lessons = field(repr=False)
    kernel: Kernel
    middle: FloatArray = field(repr=False)
    width: FloatArray
    shape: FloatArray = field(repr=False)

    @classmethod
    def learn(
        cls, lessons: Lessons, kernel: Kernel | None = None, choices: Sequence[Kernel] = CHOICES, seed: int = 0
    ) -> Calibration:
        """Learn from source tasks.

        Args:
            lessons: Rows of several tasks, of two families at least.
            kernel: Used as it is, if given.
            choices: Otherwise the one of these is taken that errs least on families left out in turn.
            seed: Of the draw of rows, where there are more than `MOST_ROWS`.

        Raises:
            DataError: If all lessons are of one family.
        """
        if len(np.unique(lessons.family)) < 2:
            raise DataError("lessons of one family of datasets do not tell what holds on another; give two at least")
        kept = np.sort(np.random.default_rng(seed).permutation(len(lessons))[:MOST_ROWS])
        lessons = lessons.take(kept)
        x_mean, x_scale = lessons.x.mean(0), lessons.x.std(0)
        x_scale = np.where(x_scale > 1e-9, x_scale, 1.0)
        z_mean, z_scale = float(lessons.z.mean()), max(float(lessons.z.std()), 1e-9)
        middle = np.array([[*x_mean, z_mean], [*x_scale, z_scale]])
        scaled = replace(lessons, x=(lessons.x - x_mean) / x_scale, z=(lessons.z - z_mean) / z_scale)
        tried = choices if kernel is None else (kernel,)
        left_out = [_left_out(scaled, one) for one in tried]
        best = int(np.argmin([_by_task(scaled, predicted) for predicted in left_out]))
        width, shape = _errors(scaled, left_out[best])
        return cls(scaled, tried[best], middle, width, shape)

    def scaled(self, x: FloatArray) -> FloatArray:
        """Inputs, shape (n, N_INPUTS), in the units of the process."""
        return (x - self.middle[0, :N_INPUTS]) / self.middle[1, :N_INPUTS]

    def conditioned(self, x: FloatArray, z: FloatArray) -> Posterior:
        """The process after finished runs of a task: inputs (K, N_INPUTS) and stretched skills (K,); K may be 0."""
        return Posterior(self, self.scaled(x), (z - self.middle[0, -1]) / self.middle[1, -1])

    @cached_property
    def _factor(self) -> tuple[FloatArray, FloatArray]:
        """Cholesky factor of the covariance of the lessons, and what it makes of their targets."""
        lower = linalg.cholesky(_covariance(self.lessons, self.kernel), lower=True, check_finite=False)
        return lower, linalg.solve_triangular(lower, self.lessons.z, lower=True, check_finite=False)

    def seen(self, x: FloatArray) -> FloatArray:
        """What lessons say of inputs: whitened covariances, shape (rows, n)."""
        covariance = self.kernel.common(self.lessons.x, x)
        return linalg.solve_triangular(self._factor[0], covariance, lower=True, check_finite=False)


@dataclass(frozen=True, eq=False)
class Posterior:
    """A calibration that knows finished runs of a task.

    Attributes:
        base: The calibration.
        x: Scaled inputs of the runs, shape (K, N_INPUTS).
        z: Their scaled targets, shape (K,).
    """

    base: Calibration = field(repr=False)
    x: FloatArray = field(repr=False)
    z: FloatArray = field(repr=False)

    def predict(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Stretched skill of peaks: mean (n,) and quantiles at `LEVELS` (n, levels)."""
        given, kernel = self.base.scaled(x), self.base.kernel
        seen = self.base.seen(given)
        mean = seen.T @ self.base._factor[1]
        before = _own_variance(given, kernel) - (seen**2).sum(0) + kernel.noise
        after = before
        if len(self.z):
            lower, right, white = self._block
            cross = kernel.common(self.x, given) + kernel.private(self.x, given) - white.T @ seen
            told = linalg.solve_triangular(lower, cross, lower=True, check_finite=False)
            mean = mean + told.T @ right
            after = np.maximum(before - (told**2).sum(0), kernel.noise / 2)
        features = np.column_stack([np.ones(len(given)), given[:, 2], mean])
        sigma = np.sqrt(np.exp(np.clip(features @ self.base.width, -8.0, 4.0)) * after / before)
        quantiles = mean[:, None] + sigma[:, None] * self.base.shape
        (z_mean, z_scale) = self.base.middle[:, -1]
        return z_mean + z_scale * mean, z_mean + z_scale * quantiles

    def left_out(self) -> FloatArray:
        """Stretched skill of each known run by the others (Rasmussen and Williams 2006, eq. 5.12), shape (K,)."""
        lower = self._block[0]
        inverse = linalg.cho_solve((lower, True), np.eye(len(self.z)), check_finite=False)
        residual = self.z - self.base.seen(self.x).T @ self.base._factor[1]
        return self.base.middle[0, -1] + self.base.middle[1, -1] * (self.z - inverse @ residual / np.diag(inverse))

    @cached_property
    def _block(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Factor of the covariance of the known runs after the lessons, their whitened residuals, and `seen`."""
        kernel, white = self.base.kernel, self.base.seen(self.x)
        covariance = kernel.common(self.x, self.x) + kernel.private(self.x, self.x) - white.T @ white
        covariance[np.diag_indices(len(covariance))] += kernel.noise
        lower = linalg.cholesky(covariance, lower=True, check_finite=False)
        residual = self.z - white.T @ self.base._factor[1]
        return lower, linalg.solve_triangular(lower, residual, lower=True, check_finite=False), white


def _own_variance(x: FloatArray, kernel: Kernel) -> FloatArray:
    return 1.0 + kernel.linear * (x**2).mean(1) + kernel.own


def _covariance(lessons: Lessons, kernel: Kernel) -> FloatArray:
    same = lessons.task[:, None] == lessons.task
    covariance = kernel.common(lessons.x, lessons.x) + np.where(same, kernel.private(lessons.x, lessons.x), 0.0)
    covariance[np.diag_indices(len(covariance))] += kernel.noise
    return covariance


def _left_out(lessons: Lessons, kernel: Kernel) -> FloatArray:
    """Forecast of each row by the lessons of other families, shape (n,)."""
    predicted = np.empty(len(lessons))
    whole = _covariance(lessons, kernel)
    for mine, rest in _folds(lessons.family):
        weights = linalg.solve(whole[np.ix_(rest, rest)], lessons.z[rest], assume_a="pos", check_finite=False)
        # Across families there is nothing private.
        predicted[mine] = whole[np.ix_(mine, rest)] @ weights
    return predicted


def _folds(family: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    return ((np.flatnonzero(family == name), np.flatnonzero(family != name)) for name in np.unique(family))


def _by_task(lessons: Lessons, predicted: FloatArray) -> float:
    """Mean over tasks of the share of the task's variance that is not told: order within a task is what counts."""
    return float(np.mean([_untold(lessons.z[rows], predicted[rows]) for rows, _ in _folds(lessons.task)]))


def _untold(z: FloatArray, predicted: FloatArray) -> float:
    error = z - predicted
    return float(error.var() / max(z.var(), 1e-9) + 0.1 * error.mean() ** 2)


def _errors(lessons: Lessons, predicted: FloatArray) -> tuple[FloatArray, FloatArray]:
    """How wide errors on tasks left out are, by share and forecast, and their quantiles in that unit."""
    error = lessons.z - predicted
    features = np.column_stack([np.ones(len(error)), lessons.x[:, 2], predicted])
    target = np.log(error**2 + 1e-3)
    # A little ridge: the two slopes are corrections.
    gram = features.T @ features + np.diag([0.0, 1.0, 1.0])
    width = np.linalg.solve(gram, features.T @ target)
    ratio = error / np.sqrt(np.exp(features @ width))
    # The logarithm's mean is no variance; the factor puts the mean square right.
    factor = float((ratio**2).mean())
    width[0] += np.log(factor)
    return width, np.quantile(ratio / np.sqrt(factor), LEVELS)
