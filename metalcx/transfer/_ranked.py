"""Sources weighted by how well they order what was tried on the target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from metalcx.curves._batch import FloatArray
from metalcx.transfer._posterior import Posterior

#: Draws of the candidates tried, and how many it takes before they are drawn.
DRAWS = 64
FEWEST = 3


@dataclass(eq=False)
class RankedPosterior(Posterior):
    """A `Posterior` whose prior mean weights sources by their ranking loss on the target.

    As RGPE does (Feurer et al. 2018, arXiv:1802.02219, section 3): a source's weight is the share of bootstrap draws
    of the candidates tried in which it misorders the fewest pairs. The target's own model is not among the members, as
    there, but stands on top, as what the features tell of the rest.

    Args:
        each: What every source makes one expect of the candidates, shape (n, k).
        weight: Of each source before anything is known, shape (k,).
        seed: Of the draws.
    """

    each: npt.NDArray[np.float32] | None = None
    weight: FloatArray | None = None
    seed: int = 0

    def tell(self, row: int, value: float) -> None:
        """A candidate was tried; see `Posterior.tell`."""
        super().tell(row, value)
        assert self.each is not None
        assert self.weight is not None
        k = len(self.values)
        if k >= FEWEST and not np.isnan(value):
            random = np.random.default_rng([self.seed, 3])
            weight = ranking_weights(self.each[self.rows[:k]], np.array(self.values), self.weight, random)
            self.prior = np.asarray(self.each @ weight, dtype=np.float64)


def ranking_weights(
    each: npt.NDArray[np.floating[Any]], values: FloatArray, weight: FloatArray, random: np.random.Generator
) -> FloatArray:
    """How often each source misorders the fewest pairs, over bootstrap draws, shape (k,); together 1.

    Args:
        each: What k sources say of n candidates, shape (n, k).
        values: What these reached, shape (n,).
        weight: Of each source; decides between those that do equally well.
        random: Of the draws.
    """
    from scipy.stats import rankdata

    n = len(values)
    drawn = random.multinomial(n, np.full(n, 1 / n), DRAWS).astype(np.float64)
    a, b = np.triu_indices(n, 1)
    place = rankdata(values)  # of candidates that diverged, alike
    wrong = (np.sign(each[a] - each[b]) != np.sign(place[a] - place[b])[:, None]).astype(np.float64)
    loss = (drawn[:, a] * drawn[:, b]) @ wrong
    least = (loss == loss.min(1, keepdims=True)) * weight
    return np.asarray((least / least.sum(1, keepdims=True)).mean(0), dtype=np.float64)
