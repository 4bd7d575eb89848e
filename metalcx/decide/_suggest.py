"""What to try next: expected improvement, some exploration, no candidate twice, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from metalcx.errors import DataError
from metalcx.protocol import FloatArray

IntArray = npt.NDArray[np.int64]

#: Share of suggestions that go where most is unknown among what may be good: the highest mean + `WIDE` spreads.
EXPLORE = 0.1
WIDE = 2.0


class Belief(Protocol):
    """What is thought of n candidates, on a scale on which higher is better; `metalcx.transfer.Posterior` is one."""

    rows: list[int]

    def __len__(self) -> int:
        """Number of candidates."""
        ...

    def tell(self, row: int, value: float) -> None:
        """A candidate was tried, or, with NaN, is about to be."""
        ...

    @property
    def scores(self) -> FloatArray:
        """What those tried reached, on the scale of the forecasts, shape (k,)."""
        ...

    def mean(self) -> FloatArray:
        """Expected score of each, shape (n,)."""
        ...

    def spread(self) -> FloatArray:
        """Standard deviation, shape (n,)."""
        ...


@dataclass(frozen=True)
class Choice:
    """A candidate to try.

    Attributes:
        row: Its place among the candidates.
        mean: Expected normal score among networks like it, when it was chosen.
        spread: Standard deviation of that.
        improvement: Expected improvement over the best so far, or over the best that is expected if nothing was tried.
        explores: Whether it was chosen for what is unknown of it.
    """

    row: int
    mean: float
    spread: float
    improvement: float
    explores: bool


def expected_improvement(mean: FloatArray, spread: FloatArray, best: float) -> FloatArray:
    """E[max(score - best, 0)] of normal scores, shape (n,)."""
    from scipy.special import ndtr

    u = (mean - best) / spread
    return np.asarray(spread * (u * ndtr(u) + np.exp(-u * u / 2) / np.sqrt(2 * np.pi)), dtype=np.float64)


def suggest(
    belief: Belief,
    n: int = 1,
    *,
    alike: IntArray | None = None,
    allowed: npt.NDArray[np.bool_] | None = None,
    explore: float = EXPLORE,
    seed: int = 0,
    order: Sequence[Any] | None = None,
) -> list[Choice]:
    """Choose candidates to try next, one after another as if each before were being tried.

    A choice takes the highest expected improvement or, with probability `explore`, the highest mean + `WIDE` spreads.
    None is chosen that was told to `belief`, nor two that are alike. The choices are told to `belief` as untried.

    Args:
        belief: What is thought of the candidates; told of those chosen.
        n: How many; fewer are returned where fewer are left.
        alike: The same number for candidates that are the same, shape (len(belief),); all differ by default.
        allowed: Which may be chosen, shape (len(belief),); all by default.
        explore: Share of choices for what is unknown.
        seed: Of the draws.
        order: What decides between equals, ascending; the order of the candidates by default.

    Raises:
        ValueError: If `n` is below 1, or `explore` no share.
        DataError: If every candidate was tried.
    """
    if n < 1 or not 0 <= explore <= 1:
        raise ValueError(f"n is at least 1 and explore a share between 0 and 1; got {n}, {explore}")
    alike = np.arange(len(belief)) if alike is None else np.asarray(alike)
    free = ~np.isin(alike, alike[belief.rows])
    free &= True if allowed is None else allowed
    if not free.any():
        raise DataError("every candidate was tried or is running; give others")
    random = np.random.default_rng([seed, len(belief.rows)])
    place = np.arange(len(belief)) if order is None else np.argsort(np.argsort(np.asarray(order), kind="stable"))
    chosen: list[Choice] = []
    while len(chosen) < n and free.any():
        mean, spread = belief.mean(), belief.spread()
        tried = belief.scores
        gain = expected_improvement(mean, spread, float(tried.max() if len(tried) else mean.max()))
        explores = bool(random.random() < explore)
        score = np.where(free, mean + WIDE * spread if explores else gain, -np.inf)
        ties = np.flatnonzero(score == score.max())
        row = int(ties[np.argmin(place[ties])])
        chosen.append(Choice(row, float(mean[row]), float(spread[row]), float(gain[row]), explores))
        belief.tell(row, float("nan"))
        free &= alike != alike[row]
    return chosen
