"""Rules of stopping that need no forecast: the median rule, patience, one epoch, and what each keeps."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from metalcx.curves._batch import FloatArray, IntArray
from metalcx.decide import Advice, Outcome, Progress, Recording, outcome


@dataclass(frozen=True)
class MedianRule:
    """Stops a run whose best value so far is below the median of the finished runs' mean values up to that time.

    Golovin et al. (2017, "Google Vizier: a service for black-box optimization", section 3.2.2).

    Args:
        recording: The runs.
        grace: No run is stopped before it has so many points.
        startup: No run is stopped before so many have finished.
    """

    recording: Recording
    grace: int
    startup: int = 5
    most_stopped: float = field(default=1.0, init=False)

    def advise(self, progress: Progress) -> Advice | None:
        """Compare all runs with those that have finished."""
        if len(progress.finished) < self.startup:
            return None
        best, mean = self._so_far
        median = np.median(mean[progress.finished], axis=0)
        low = (best < median) & (self.recording.points >= self.grace)
        return Advice(low & ~np.isnan(self.recording.t), best)

    @cached_property
    def _so_far(self) -> tuple[FloatArray, FloatArray]:
        """Best and mean value of each run up to each point asked about, shape (n, m); a run that is over stays."""
        y = self.recording.padded.y
        at = np.minimum(self.recording.points, y.shape[1]) - 1
        best = np.maximum.accumulate(y, axis=1)[:, at]
        mean = (np.cumsum(y, axis=1) / np.arange(1, y.shape[1] + 1))[:, at]
        return best, mean


def patience(recording: Recording, points: int) -> Outcome:
    """Every run ends after so many points without a new best value, whatever the others do.

    A run that is ended so is not thrown away: its best value counts as if it had been kept, which no other rule is
    granted. Its regret may then be below 0, and counts as 0.
    """
    y, length = recording.padded.y, recording.length
    column = np.arange(y.shape[1])
    best = np.maximum.accumulate(y, axis=1)
    fresh = np.concatenate([np.ones((len(y), 1), dtype=bool), best[:, 1:] > best[:, :-1]], axis=1)
    since = column - np.maximum.accumulate(np.where(fresh, column, 0), axis=1)
    tired = (since >= points) & (column < length[:, None] - 1)
    end = np.where(tired.any(1), tired.argmax(1) + 1, length)
    cut = end < length
    reached = np.where(cut, best[np.arange(len(y)), end - 1], recording.final)
    return outcome(recording, np.flatnonzero(~cut), int(end.sum()), float(reached.max()))


def one_epoch(recording: Recording, order: IntArray, share: float) -> Outcome:
    """All runs take one point; the best `share` of them, at least one, go on to their end.

    Egele et al. (2024, "The unreasonable effectiveness of early discarding after one epoch in neural network
    hyperparameter optimization", arXiv:2404.04111). Equals go on in the order of starting.
    """
    keep = max(1, int(np.ceil(share * len(recording) - 1e-9)))
    # A point at t = 0 was measured before training, and says nothing of a run.
    t = recording.padded.t
    first = np.minimum(np.argmax(t > 0, axis=1), recording.length - 1)
    value = recording.padded.y[np.arange(len(t)), first]
    kept = order[np.argsort(-value[order], kind="stable")[:keep]]
    spent = (first + 1).sum() + (recording.length[kept] - first[kept] - 1).sum()
    return outcome(recording, kept, int(spent))
