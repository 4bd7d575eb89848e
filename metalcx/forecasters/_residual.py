"""What configuration and architecture tell beyond the curve: a Gaussian process on held-out errors of the support."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from metalcx.curves._batch import FloatArray
from metalcx.forecasters._peers import rms
from metalcx.forecasters._traits import Traits
from metalcx.protocol import SHARES

#: Length scales tried, in units of the typical distance between support runs, and noises, in those of errors.
REACHES = (0.5, 1.0, 2.0)
NOISES = (0.1, 0.3, 1.0, 3.0)

#: Fewest support runs from which anything is learned.
MIN_RUNS = 5

#: Standard errors of its gain on held-out runs at which it is not believed at all, and at which it is wholly.
DOUBTED, BELIEVED = 0.5, 2.0


@dataclass(frozen=True)
class ResidualGP:
    """Shifts forecasts by what was missed of support runs of like configuration and architecture.

    The errors that a forecaster made on support runs, each held out from the others and cut at several places, are
    values of a process with the mean of a squared exponential kernel over configurations and one over architectures;
    its length scale and noise are those with the least leave-one-out error (in closed form; Rasmussen and Williams
    2006, section 5.4.2), and it is believed as far as that is less than none: hardly ever at K <= 5. How far to believe
    it was chosen on smallnets' tasks, by a model that had not learned from them.

    Attributes:
        known: What is known of L support runs.
        weights: Of their errors, in anchors; shape (cuts, L).
        cuts: Times at which they were cut, ascending, shape (cuts,).
        reach: Length scale of configurations, and of architectures.
        held_out: What it says of each run from the others, in anchors, shape (cuts, L).
    """

    known: Traits
    weights: FloatArray
    cuts: FloatArray
    reach: tuple[float, float]
    held_out: FloatArray

    @classmethod
    def fitted(cls, known: Traits, errors: FloatArray, cuts: FloatArray) -> Self | None:
        """Learn from errors in anchors, shape (cuts, L); None if there is nothing to learn, or it is not believed."""
        typical = _typical(known)
        size = np.abs(errors).mean(1, keepdims=True)
        if errors.shape[1] < MIN_RUNS or not any(typical) or not (size > 0).all():
            return None
        z, best = errors / size, (np.inf, 0.0)
        for factor in REACHES:
            kernel = _kernel(known, known, (factor * typical[0], factor * typical[1]))
            for noise in NOISES:
                inverse = np.linalg.inv(kernel + noise * np.eye(len(kernel)))
                missed = z @ inverse / np.diag(inverse)
                if np.abs(missed).mean() < best[0]:
                    best = float(np.abs(missed).mean()), factor
                    found = missed, z @ inverse
        missed, weights = found
        belief = _belief(np.abs(z) - np.abs(missed))
        if not belief:
            return None
        reach = best[1] * typical[0], best[1] * typical[1]
        return cls(known, belief * size * weights, cuts, reach, belief * size * (z - missed))

    def shift(self, query: Traits, t_cut: FloatArray) -> FloatArray:
        """By how much forecasts of n queries, last seen at `t_cut`, are raised, in anchors; shape (n,)."""
        told = _kernel(query, self.known, self.reach) @ self.weights.T
        place = np.interp(t_cut, self.cuts, np.arange(len(self.cuts)))
        low = np.minimum(place.astype(np.int64), len(self.cuts) - 1)
        high, row = np.minimum(low + 1, len(self.cuts) - 1), np.arange(len(told))
        return told[row, low] + (place - low) * (told[row, high] - told[row, low])

    # What the hub stores.

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """All but what is known of the support."""
        return {"weights": self.weights, "cuts": self.cuts, "reach": np.array(self.reach), "held_out": self.held_out}

    @classmethod
    def build(cls, known: Traits, tensors: dict[str, npt.NDArray[Any]]) -> Self:
        """The process of which `tensors` gave these."""
        reach = float(tensors["reach"][0]), float(tensors["reach"][1])
        return cls(known, tensors["weights"], tensors["cuts"], reach, tensors["held_out"])


def _kernel(one: Traits, other: Traits, reach: tuple[float, float]) -> FloatArray:
    """Mean of the kernels of what both runs tell, shape (n, K); 0 where that is nothing."""
    total = np.zeros((len(one.known), len(other.known)))
    parts = np.zeros_like(total)
    for (mine, there), (theirs, known), length in zip(_parts(one, other), _parts(other, other), reach, strict=True):
        if not length:
            continue
        both = there[:, None] & known
        total += np.where(both, np.exp(-0.5 * np.square(rms(mine, theirs) / length)), 0.0)
        parts += both
    return total / np.maximum(parts, 1)


def _parts(traits: Traits, scale: Traits) -> tuple[tuple[FloatArray, npt.NDArray[np.bool_]], ...]:
    """Configurations, and architectures in units of their spread among `scale`, each with where there are some."""
    spread = scale.arch[scale.known].std(0) if scale.known.any() else np.ones(scale.arch.shape[1])
    columns = spread > 1e-6
    # Without the columns that the support has, no run has a place among it.
    width = scale.points.shape[1]
    points = traits.points if traits.points.shape[1] == width else np.zeros((len(traits.known), width))
    return (points, traits.placed), (traits.arch[:, columns] / spread[columns], traits.known)


def _typical(known: Traits) -> tuple[float, float]:
    """Median distance of configurations, and of architectures, that are not the same; 0 where there are none."""
    found = []
    for values, there in _parts(known, known):
        apart = rms(values[there], values[there])[np.triu_indices(int(there.sum()), 1)]
        apart = apart[apart > 1e-6]
        found.append(float(np.median(apart)) if len(apart) else 0.0)
    return found[0], found[1]


def _belief(gain: FloatArray) -> float:
    """How far to believe what has this gain, shape (cuts, L), on held-out runs: from 0 to 1."""
    by_run = gain.mean(0)
    error = by_run.std(ddof=1) / np.sqrt(len(by_run))
    return float(np.clip((by_run.mean() / (error + 1e-12) - DOUBTED) / (BELIEVED - DOUBTED), 0.0, 1.0))


def explained(
    known: Traits, held_out: FloatArray, y: FloatArray, cuts: FloatArray
) -> tuple[ResidualGP | None, FloatArray]:
    """What is learned from held-out forecasts of L support runs, and these as it mends them.

    Args:
        known: What is known of the runs.
        held_out: Quantiles in anchors, a cut after the other, shape (cuts L, levels).
        y: What came of them, shape (cuts L,).
        cuts: Times at which they were cut, shape (cuts,).
    """
    errors = (y - held_out @ SHARES).reshape(len(cuts), -1)
    process = ResidualGP.fitted(known, errors, cuts)
    return process, held_out if process is None else held_out + process.held_out.reshape(-1, 1)


#: Prefix of a process's tensors among those of an adapted model.
_PREFIX = "beside."


def packed(process: ResidualGP | None) -> dict[str, npt.NDArray[Any]]:
    """Its tensors among those of an adapted model; none if there is no process."""
    return {} if process is None else {_PREFIX + name: value for name, value in process.tensors().items()}


def unpacked(
    tensors: dict[str, npt.NDArray[Any]],
) -> tuple[dict[str, npt.NDArray[Any]], dict[str, npt.NDArray[Any]]]:
    """All other tensors of an adapted model, and those of a process."""
    told = {name.removeprefix(_PREFIX): value for name, value in tensors.items() if name.startswith(_PREFIX)}
    return {name: value for name, value in tensors.items() if not name.startswith(_PREFIX)}, told
