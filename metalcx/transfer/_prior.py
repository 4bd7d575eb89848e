"""What held on source datasets, as a prior over candidates for a dataset that nobody has seen."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from metalcx.curves._batch import FloatArray
from metalcx.transfer._candidates import Candidates
from metalcx.transfer._effects import Effects
from metalcx.transfer._feature_map import Characteristics, FeatureMap
from metalcx.transfer._posterior import Posterior
from metalcx.transfer._prior_fit import Said, Trust, said_of
from metalcx.transfer._ranked import RankedPosterior

if TYPE_CHECKING:
    from metalcx.encoders import Encoder

#: How the target's results correct what is expected of it.
DESIGNS = ("bayes", "rank", "equal")

#: Normal scores are kept as whole numbers of this many to 1, which spans +-4.2; the least stands for none.
STEPS, NOTHING = 30, -128


@dataclass(frozen=True, eq=False)
class Prior:
    """Source surrogates over one kind of candidates, and how far they are trusted.

    Attributes:
        name: What the sources are called together.
        characteristics: What is read of a candidate.
        map: From that to features.
        each: Coefficients of every source's surrogate, shape (k, f).
        names: Of the k sources.
        families: Of each of them.
        weight: Of each, families counting alike, shape (k,).
        trust: How far.
        effects: Of the characteristics.
        keys: Digests of candidates whose own results are known, sorted, shape (c,).
        results: Their normal scores, NaN where one is not known, shape (c, k).
        design: One of `DESIGNS`. ``bayes``: Bayesian regression on the sources around their mean, which is a Gaussian
            process with the sources' covariance; ``rank``: weights by ranking loss; ``equal``: fixed weights. On each
            stands a Gaussian process over features for what no source tells.
    """

    name: str
    characteristics: Characteristics
    map: FeatureMap
    each: FloatArray
    names: tuple[str, ...]
    families: tuple[str, ...]
    weight: FloatArray
    trust: Trust
    effects: Effects
    keys: npt.NDArray[np.uint64]
    results: FloatArray
    design: str = "bayes"

    def looked_up(self, candidates: Candidates) -> FloatArray:
        """Normal scores of candidates on the sources, NaN where they were not tried, shape (n, k)."""
        found = np.full((len(candidates), len(self.names)), np.nan)
        if len(self.keys):
            digest = digests(candidates.key)
            place = np.minimum(np.searchsorted(self.keys, digest), len(self.keys) - 1)
            known = self.keys[place] == digest
            found[known] = self.results[place[known]]
        return found

    def covers(self, candidates: Candidates) -> float:
        """Share of the characteristics in which the candidates differ that differ among the sources too.

        Operations and hyperparameters that no source has count as not covered; 1 if candidates do not differ.
        """
        own = Characteristics.of(candidates)
        wanted, known = set(own.columns), set(self.characteristics.columns)
        if len(candidates.graphs):
            wanted |= {f"operation {word}" for word in own.operations}
            known |= {f"operation {word}" for word in self.characteristics.operations}
        return len(wanted & known) / len(wanted) if wanted else 1.0

    def belief(self, candidates: Candidates, encoder: Encoder | None = None, seed: int = 0) -> Posterior:
        """What is thought of candidates before any was tried on the target.

        Args:
            candidates: Any; they need not have been tried anywhere.
            encoder: The one that the prior was fitted with.
            seed: Of draws, where the design has any.
        """
        features = self.features(candidates, encoder)
        said = said_of(features, self.each, self.looked_up(candidates), self.weight)
        return posterior(said, features, self.trust, self.design, seed)

    def features(self, candidates: Candidates, encoder: Encoder | None = None) -> npt.NDArray[np.float32]:
        """Features of candidates, shape (n, f)."""
        embedding = embeddings(candidates, encoder, len(self.map.middle))
        return self.map(self.characteristics(candidates), embedding)

    def expected(self, candidates: Candidates, encoder: Encoder | None = None) -> npt.NDArray[np.float32]:
        """What every source makes one expect of candidates, in normal scores, shape (n, k)."""
        features = self.features(candidates, encoder)
        return said_of(features, self.each, self.looked_up(candidates), self.weight).each(self.trust)

    # What the hub stores.

    def config_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "name": self.name,
            "characteristics": self.characteristics.to_dict(),
            "names": self.names,
            "families": self.families,
            "effect_families": self.effects.families,
            "trust": self.trust.to_dict(),
            "design": self.design,
        }

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """All arrays, finite."""
        found: dict[str, npt.NDArray[Any]] = {f"map.{name}": array for name, array in self.map.tensors().items()}
        found |= {f"effects.{name}": array.astype(np.float16) for name, array in self.effects.tensors().items()}
        results = np.where(np.isfinite(self.results), np.clip(np.round(self.results * STEPS), -127, 127), NOTHING)
        return found | {
            "each": self.each.astype(np.float16),
            "weight": self.weight.astype(np.float32),
            "keys": self.keys,
            "results": results.astype(np.int8),
        }

    @classmethod
    def build(cls, config: dict[str, Any], tensors: dict[str, npt.NDArray[Any]]) -> Prior:
        """The prior of which `config_dict` and `tensors` gave these."""
        characteristics = Characteristics.from_dict(config["characteristics"])
        arrays = {name: a.astype(np.float64) for name, a in tensors.items() if a.dtype.kind == "f"}
        of_map = {name.removeprefix("map."): a for name, a in arrays.items() if name.startswith("map.")}
        each, error = arrays["effects.each"], arrays["effects.error"]
        effects = Effects.of_tensors(characteristics.names, tuple(config["effect_families"]), each, error)
        results = np.where(tensors["results"] == NOTHING, np.nan, tensors["results"] / STEPS)
        if config["design"] not in DESIGNS:
            raise ValueError(f"no design {config['design']!r:.40}; there are {', '.join(DESIGNS)}")
        return cls(
            str(config["name"]),
            characteristics,
            FeatureMap(**of_map),
            arrays["each"],
            tuple(config["names"]),
            tuple(config["families"]),
            arrays["weight"],
            Trust(**config["trust"]),
            effects,
            tensors["keys"],
            results,
            config["design"],
        )


def posterior(
    said: Said, features: npt.NDArray[np.float32], trust: Trust, design: str = "bayes", seed: int = 0
) -> Posterior:
    """The belief that a design makes of what sources say."""
    smooth = np.float32(np.sqrt(trust.smooth)) * features
    mean = said.mean(trust)
    if design == "bayes":
        return Posterior(mean, np.hstack([said.directions(trust), smooth]), trust.noise)
    # The sources' differences are no features here, so that what they explained is noise.
    apart = float(np.square(said.directions(trust)).sum(1).mean())
    if design == "equal":
        return Posterior(mean, smooth, trust.noise + apart)
    each = np.float32(trust.slope) * said.each(trust)
    return RankedPosterior(mean, smooth, trust.noise + apart, each=each, weight=said.weight, seed=seed)


def embeddings(candidates: Candidates, encoder: Encoder | None, width: int) -> FloatArray:
    """Embeddings of candidates, each graph encoded once, 0 where there is none, shape (n, width)."""
    if encoder is None or not len(candidates.graphs):
        return np.zeros((len(candidates), width))
    every = np.vstack([encoder.encode(candidates.graphs), np.zeros((1, encoder.width))])
    return np.asarray(every[candidates.arch], dtype=np.float64)


def digests(keys: Sequence[str] | npt.NDArray[np.object_]) -> npt.NDArray[np.uint64]:
    """64 bits of each key."""
    hashes = [hashlib.blake2b(str(key).encode(), digest_size=8).digest() for key in keys]
    return np.frombuffer(b"".join(hashes), dtype="<u8").astype(np.uint64)
