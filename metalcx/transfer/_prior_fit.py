"""How far to trust what held elsewhere, learned by predicting each source from the others."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from metalcx.curves._batch import BoolArray, FloatArray, IntArray
from metalcx.transfer._source_fits import SourceFits

#: Families that are predicted from the others, at most.
FAMILIES = 8

#: Candidates of each on which that is judged: half drawn from all, half from the most promising.
SHOWN = 200
PROMISING = 0.05

#: Least variance of the slope, and of what no source tells that is believed: that few sources agree proves little
#: about the next dataset.
LEAST_SWAY, LEAST_SMOOTH = 0.05, 0.01

#: Penalties that are tried, of what is common and of a source's own.
PENALTIES = ((1.0, 1.0), (3.0, 10.0), (10.0, 100.0))


@dataclass(frozen=True)
class Trust:
    """How the sources make a prior.

    Attributes:
        common: Penalty on what is common to the sources.
        own: Penalty on what is a source's own.
        lookup: Share of what a candidate reached beyond its source's surrogate that is believed, 0 to 1.
        slope: By how much the mean of the sources is drawn towards nothing, about 0 to 1.
        sway: Variance of that slope between datasets: on some, what held elsewhere fails.
        among: Variance of how datasets take after single sources.
        smooth: Variance of what no source tells and candidates that are alike share.
        noise: Variance of what no feature tells.
    """

    common: float = 10.0
    own: float = 10.0
    lookup: float = 0.5
    slope: float = 0.8
    sway: float = 0.1
    among: float = 0.5
    smooth: float = 0.2
    noise: float = 0.3

    def to_dict(self) -> dict[str, float]:
        """JSON values."""
        return asdict(self)


class Said(NamedTuple):
    """What k sources say of n candidates.

    Attributes:
        fitted: By their surrogates, shape (n, k).
        beyond: What was found above that, shape (n, k); where a candidate was not tried, the mean over the sources
            where it was, 0 if there are none.
        weight: Of each source, together 1, shape (k,).
    """

    fitted: npt.NDArray[np.float32]
    beyond: npt.NDArray[np.float32]
    weight: FloatArray

    def take(self, rows: IntArray) -> Said:
        """Of the candidates at `rows`."""
        return Said(self.fitted[rows], self.beyond[rows], self.weight)

    def each(self, trust: Trust) -> npt.NDArray[np.float32]:
        """What every source makes one expect, shape (n, k)."""
        return self.fitted + np.float32(trust.lookup) * self.beyond

    def mean(self, trust: Trust) -> FloatArray:
        """Expected normal score of each candidate, shape (n,)."""
        return np.asarray(trust.slope * (self.each(trust) @ self.weight), dtype=np.float64)

    def directions(self, trust: Trust) -> npt.NDArray[np.float32]:
        """Features along which a dataset may differ from what is expected, shape (n, k + 1).

        By how the sources differ from their mean: it may take after some of them; and along that mean: it may take
        after them more, or less, or not at all.
        """
        each = self.each(trust)
        mean = (each @ self.weight)[:, None]
        apart = (each - mean) * np.sqrt(trust.among * self.weight)
        return np.hstack([apart, np.sqrt(trust.sway) * mean]).astype(np.float32)


def said_of(
    features: npt.NDArray[np.float32], each: FloatArray, looked_up: npt.NDArray[np.floating[Any]], weight: FloatArray
) -> Said:
    """What sources say of candidates.

    Args:
        features: Of the candidates, shape (n, f).
        each: Coefficients of each source, shape (k, f).
        looked_up: Normal scores of the candidates themselves, NaN where they were not tried, shape (n, k).
        weight: Of each source, shape (k,).
    """
    fitted = features @ each.T.astype(np.float32)
    known = np.isfinite(looked_up)
    beyond = np.where(known, looked_up - fitted, 0.0)
    typical = (beyond @ weight) / np.maximum(known @ weight, 1e-9)
    return Said(fitted, np.where(known, beyond, typical[:, None]).astype(np.float32), weight)


class Episode(NamedTuple):
    """One source as a target: what the others say of some of its candidates, and what these reached."""

    said: Said
    features: npt.NDArray[np.float32]
    score: FloatArray


def learn_trust(fits: SourceFits, kept: BoolArray, looked_up: npt.NDArray[np.floating[Any]], seed: int = 0) -> Trust:
    """The trust under which each source family is likeliest, given the others.

    Args:
        fits: Surrogates of the sources.
        kept: Which of them may be looked at, shape (tasks,).
        looked_up: Normal scores of all candidates, shape (n, tasks).
        seed: Of the draws.
    """
    families = sorted({task.family for task, use in zip(fits.tasks, kept, strict=True) if use})
    if len(families) < 2:
        return Trust()
    best, value = Trust(), np.inf
    for common, own in PENALTIES:
        episodes = _episodes(fits, kept, looked_up, families, (common, own), np.random.default_rng([seed, 5]))
        found, loss = _likeliest(episodes, Trust(common, own))
        if loss < value:
            best, value = found, loss
    return best


def _episodes(
    fits: SourceFits,
    kept: BoolArray,
    looked_up: npt.NDArray[np.floating[Any]],
    families: list[str],
    penalties: tuple[float, float],
    random: np.random.Generator,
) -> list[Episode]:
    found = []
    for family in random.permutation(families)[:FAMILIES]:
        others = kept & fits.kept([family])
        _, each = fits.solve(others, *penalties)
        weight = fits.weights(others)[others]
        target = random.choice([i for i, task in enumerate(fits.tasks) if task.family == family])
        task = fits.tasks[target]
        said = said_of(fits.features[task.rows], each, looked_up[task.rows][:, others], weight)
        shown = _shown(said.mean(Trust()), random)
        found.append(Episode(said.take(shown), fits.features[task.rows[shown]], task.score[shown]))
    return found


def _shown(mean: FloatArray, random: np.random.Generator) -> IntArray:
    """Candidates to judge by: most decisions are about the promising ones."""
    half = min(SHOWN, len(mean)) // 2
    promising = np.argsort(-mean)[: max(half, round(PROMISING * len(mean)))]
    chosen = np.union1d(random.permutation(len(mean))[:half], random.permutation(promising)[:half])
    return np.asarray(chosen, dtype=np.int64)


def _likeliest(episodes: list[Episode], start: Trust) -> tuple[Trust, float]:
    from scipy.optimize import minimize
    from scipy.special import expit

    known = [Products.of(episode) for episode in episodes]

    def trust(point: FloatArray) -> Trust:
        lookup, slope = expit(point[0]), np.exp(min(point[1], 1.0))
        sway, among, smooth, noise = np.exp(np.clip(point[2:], -9, 3)).tolist()
        sway, smooth = sway + LEAST_SWAY, smooth + LEAST_SMOOTH
        return Trust(start.common, start.own, float(lookup), float(slope), sway, among, smooth, noise)

    def loss(point: FloatArray) -> float:
        return float(np.mean([products.surprise(trust(point)) for products in known]))

    first = np.array([0.0, *np.log([start.slope, start.sway, start.among, start.smooth, start.noise])])
    found = minimize(loss, first, method="L-BFGS-B", options={"maxiter": 40, "eps": 1e-4})
    return trust(found.x), float(found.fun)


class Products(NamedTuple):
    """An episode as all that its likelihood needs: means, and covariances that trust adds up.

    Attributes:
        score: What k candidates reached, shape (k,).
        means: Of the sources' surrogates, and of what was found beyond, shape (2, k).
        among: Covariances of the surrogates, of both, and of what was found beyond, shape (3, k, k).
        smooth: Of the features, shape (k, k).
    """

    score: FloatArray
    means: FloatArray
    among: FloatArray
    smooth: FloatArray

    @classmethod
    def of(cls, episode: Episode) -> Products:
        """Those of an episode."""
        weight, features = episode.said.weight, episode.features.astype(np.float64)
        parts = [part.astype(np.float64) for part in (episode.said.fitted, episode.said.beyond)]
        means = np.stack([part @ weight for part in parts])
        fitted, beyond = [(part - mean[:, None]) * np.sqrt(weight) for part, mean in zip(parts, means, strict=True)]
        both = fitted @ beyond.T
        among = np.stack([fitted @ fitted.T, both + both.T, beyond @ beyond.T])
        return cls(episode.score, means, among, features @ features.T)

    def surprise(self, trust: Trust) -> float:
        """Negative log likelihood a candidate."""
        from scipy.linalg import cho_factor, cho_solve

        powers = np.array([1.0, trust.lookup, trust.lookup**2])
        covariance = trust.among * np.tensordot(powers, self.among, 1) + trust.smooth * self.smooth
        mean = powers[:2] @ self.means
        covariance += trust.sway * np.outer(mean, mean)
        covariance[np.diag_indices_from(covariance)] += trust.noise
        rest = self.score - trust.slope * mean
        factor = cho_factor(covariance, lower=True)
        return float(rest @ cho_solve(factor, rest) / 2 + np.log(np.diag(factor[0])).sum()) / len(rest)
