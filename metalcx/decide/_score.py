"""By what the runs of a rung are compared: their last value, or what they are forecast to become."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np

from metalcx.curves import Curves
from metalcx.decide._rank import DRAWS, rank
from metalcx.decide._support import fingerprint
from metalcx.decide._trials import oriented_last
from metalcx.protocol import FloatArray, Forecaster


class Score(Protocol):
    """Orders runs that have been trained equally far.

    Attributes:
        name: What a reason calls it, such as ``last value``.
        learns: Whether scores change as runs finish; else a run's score at a rung is fixed and asked for once.
    """

    @property
    def name(self) -> str: ...
    @property
    def learns(self) -> bool: ...

    def __call__(self, runs: Curves, finished: Curves, horizon: float) -> FloatArray:
        """Higher is better, shape (n,); minus infinity for a run that cannot go on.

        Args:
            runs: What is seen of n runs that are compared.
            finished: All runs that have finished so far, in that order; may be empty.
            horizon: Time at which a run is complete.
        """
        ...


@dataclass(frozen=True)
class LastValue:
    """The last value, as successive halving, Hyperband and ASHA were published."""

    name: str = field(default="last value", init=False)
    learns: bool = field(default=False, init=False)

    def __call__(self, runs: Curves, finished: Curves, horizon: float) -> FloatArray:
        """See `Score`."""
        return oriented_last(runs)


@dataclass(frozen=True)
class ForecastScore:
    """What a forecaster, adapted to the runs that have finished so far, says of the value at the horizon.

    Args:
        model: Any forecaster; adapted anew by the search.
        by: ``expected`` compares expected values, ``prob_best`` the probability of being the best of those compared
            (equals by expected value).
        startup: The last value is compared until so many runs have finished.
        growth: The model is adapted again once the finished runs have grown by this share.
        seed: Of adaptation and draws.

    Raises:
        ValueError: If an argument is out of range.
    """

    model: Forecaster
    by: Literal["expected", "prob_best"] = "expected"
    startup: int = 5
    growth: float = 0.2
    seed: int = 0
    learns: bool = field(default=True, init=False)
    _adapted: dict[str, Forecaster] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.by not in ("expected", "prob_best"):
            raise ValueError(f"by is 'expected' or 'prob_best'; got {self.by!r}")
        if self.startup < 1 or not self.growth >= 0:
            raise ValueError(f"startup is at least 1 and growth at least 0; got {self.startup} and {self.growth}")

    @property
    def name(self) -> str:
        """What a reason calls it."""
        return "expected final value" if self.by == "expected" else "probability of being best"

    def __call__(self, runs: Curves, finished: Curves, horizon: float) -> FloatArray:
        """See `Score`."""
        last = oriented_last(runs)
        alive = np.flatnonzero(np.isfinite(last))
        if len(finished) < self.startup or not len(alive):
            return last
        forecast = self._model(finished).forecast(runs.take(alive), at=horizon)
        expected = runs.metric.sign * forecast.mean
        scores = np.full(len(runs), -np.inf)
        scores[alive] = expected
        if self.by == "prob_best":
            # Less than one draw apart, so that the expected value decides between equals alone.
            place = np.unique(expected, return_inverse=True)[1]
            scores[alive] = rank(forecast, self.seed).prob_best + place / (2 * DRAWS * len(alive))
        return scores

    def _model(self, finished: Curves) -> Forecaster:
        """The model adapted to the first finished runs: as many as it was last time to adapt."""
        support = finished.take(np.arange(grown(len(finished), self.startup, self.growth)))
        about = fingerprint(support)
        if about not in self._adapted:
            # One alone is kept: the finished runs only grow.
            self._adapted.clear()
            self._adapted[about] = self.model.adapt(support, seed=self.seed)
        return self._adapted[about]


@dataclass(frozen=True)
class BestPlace:
    """The best place that a run has by any of several scores: who is promising by one of them goes on.

    A hedge between scores that fail on different tasks, at the price of neither's whole share being promoted. Equals
    are told apart by their mean place.

    Args:
        scores: At least one.

    Raises:
        ValueError: If there is none.
    """

    scores: tuple[Score, ...]
    learns: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        if not self.scores:
            raise ValueError("a best place needs at least one score; give some")

    @property
    def name(self) -> str:
        """What a reason calls it."""
        return f"the better place by {' or '.join(score.name for score in self.scores)}"

    def __call__(self, runs: Curves, finished: Curves, horizon: float) -> FloatArray:
        """See `Score`."""
        known = np.stack([score(runs, finished, horizon) for score in self.scores])
        # Equals share a place, so that the order in which runs stand says nothing.
        place = (known[:, None, :] > known[:, :, None]).sum(-1)
        found: FloatArray = -(place.min(0) + place.mean(0) / (len(runs) + 1))
        return np.where(np.isneginf(known).all(0), -np.inf, found)


def grown(finished: int, startup: int, growth: float) -> int:
    """Of how many finished runs a model knows that was adapted to `startup` and again after each growth by a share.

    Follows from the number of finished runs alone, not from when it was asked.
    """
    count = following = startup
    while following <= finished:
        count, following = following, max(following + 1, math.ceil(following * (1 + growth)))
    return count
