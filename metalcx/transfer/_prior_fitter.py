"""Fits priors on sources, with any families left out; what does not depend on labels is done once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from metalcx.curves._batch import FloatArray, IntArray
from metalcx.transfer._effects import by_family, combined, effect
from metalcx.transfer._feature_map import Characteristics, FeatureMap
from metalcx.transfer._posterior import Posterior
from metalcx.transfer._prior import Prior, digests, embeddings, posterior
from metalcx.transfer._prior_fit import Trust, learn_trust, said_of
from metalcx.transfer._source_fits import SourceFits
from metalcx.transfer._sources import Sources

if TYPE_CHECKING:
    from metalcx.encoders import Encoder


@dataclass(frozen=True, eq=False)
class PriorFitter:
    """Fits priors on some sources, with any families left out; what does not depend on labels is done once.

    Attributes:
        sources: The sources.
        encoder: From graphs to vectors, if embeddings are read.
        seed: Of draws.
    """

    sources: Sources
    encoder: Encoder | None = None
    seed: int = 0

    @cached_property
    def characteristics(self) -> Characteristics:
        """What is read of candidates."""
        return Characteristics.of(self.sources.candidates)

    @cached_property
    def x(self) -> FloatArray:
        """Characteristics of all candidates of the sources, shape (n, p)."""
        return self.characteristics(self.sources.candidates)

    @cached_property
    def embedding(self) -> FloatArray:
        """Their embeddings, shape (n, width)."""
        width = 0 if self.encoder is None else self.encoder.width
        return embeddings(self.sources.candidates, self.encoder, width)

    @cached_property
    def map(self) -> FeatureMap:
        """From both to features."""
        return FeatureMap.of(self.x, self.embedding, self.seed)

    @cached_property
    def fits(self) -> SourceFits:
        """Surrogates of the sources."""
        return SourceFits(self.map(self.x, self.embedding), self.sources.tasks)

    @cached_property
    def looked_up(self) -> npt.NDArray[np.float32]:
        """Normal scores of all candidates on all sources, NaN where they were not tried, shape (n, tasks)."""
        found = np.full((len(self.sources.candidates), len(self.sources.tasks)), np.nan, np.float32)
        for i, task in enumerate(self.sources.tasks):
            found[task.rows, i] = task.score
        return found

    @cached_property
    def effects(self) -> tuple[FloatArray, FloatArray]:
        """Effect of each characteristic on each source, and its standard error, both (tasks, p)."""
        shown = self.map.standardised(self.x)
        pairs = [effect(shown[task.rows], task.score) for task in self.sources.tasks]
        return np.stack([r for r, _ in pairs]), np.stack([e for _, e in pairs])

    def trust(self, without: Sequence[str] = ()) -> Trust:
        """How far sources of other families are to be trusted, by how well they predict each other."""
        return learn_trust(self.fits, self.fits.kept(without), self.looked_up, self.seed)

    def fit(self, name: str, without: Sequence[str] = (), trust: Trust | None = None, design: str = "bayes") -> Prior:
        """The prior of all sources of other families.

        Args:
            name: What it is called.
            without: Families that are left out of everything in which there are labels.
            trust: How far; learned by default.
            design: See `Prior`.
        """
        kept = self.fits.kept(without)
        trust = trust or self.trust(without)
        _, each = self.fits.solve(kept, trust.common, trust.own)
        tasks = [task for task, use in zip(self.sources.tasks, kept, strict=True) if use]
        r, error = (part[kept] for part in self.effects)
        effects = combined(self.characteristics.names, *by_family(r, error, [task.family for task in tasks]))
        keys, results = self._results(np.flatnonzero(kept))
        return Prior(
            name,
            self.characteristics,
            self.map,
            each,
            tuple(task.name for task in tasks),
            tuple(task.family for task in tasks),
            self.fits.weights(kept)[kept],
            trust,
            effects,
            keys,
            results,
            design,
        )

    def belief(
        self, rows: IntArray, without: Sequence[str], trust: Trust, design: str = "bayes", seed: int = 0
    ) -> Posterior:
        """What the prior of all sources of other families makes one think of some of the candidates.

        The same as that prior's `Prior.belief`, without working out again what is known.

        Args:
            rows: Candidates of the sources.
            without: Families that are left out.
            trust: How far the others are trusted.
            design: See `Prior`.
            seed: Of draws, where the design has any.
        """
        kept = self.fits.kept(without)
        _, each = self.fits.solve(kept, trust.common, trust.own)
        features = self.fits.features[rows]
        said = said_of(features, each, self.looked_up[rows][:, kept], self.fits.weights(kept)[kept])
        return posterior(said, features, trust, design, seed)

    def _results(self, kept: IntArray) -> tuple[npt.NDArray[np.uint64], FloatArray]:
        """Candidates that were tried on two sources or more, where luck evens out, and their results."""
        table = self.looked_up[:, kept]
        rows = np.flatnonzero(np.isfinite(table).sum(1) >= min(2, len(kept)))
        digest = digests(self.sources.candidates.key[rows])
        order = np.argsort(digest)
        return digest[order], table[rows[order]].astype(np.float64)
