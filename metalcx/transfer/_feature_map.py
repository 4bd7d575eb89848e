"""Candidates as points at which a linear model is a Gaussian process: named characteristics and embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from metalcx.curves._batch import FloatArray
from metalcx.forecasters._configurations import ConfigurationSpace
from metalcx.transfer._candidates import Candidates
from metalcx.transfer._characteristics import names_of, of_graphs, vocabulary

#: Directions of the embedding that are kept, those along which candidates differ most.
DIRECTIONS = 24

#: Candidates whose likeness to others is a feature (Nystroem).
LANDMARKS = 160

#: Width of the kernel over standardised inputs, each block of which has a mean square of 1.
GAMMA = 0.5

#: Further from the mean than this, in standard deviations, counts as this.
REACH = 4.0


@dataclass(frozen=True, eq=False)
class Characteristics:
    """Which characteristics there are; fitted on sources, the same for all candidates afterwards.

    Attributes:
        operations: Operations that have columns of their own.
        space: Hyperparameters, numbers or their logarithms, and categories.
        varying: Columns that vary among the sources and repeat none before them, of all that there are.
    """

    operations: tuple[str, ...]
    space: ConfigurationSpace
    varying: tuple[int, ...]

    @classmethod
    def of(cls, candidates: Candidates) -> Characteristics:
        """Those of some candidates."""
        whole = cls(vocabulary(candidates.graphs), ConfigurationSpace.of(candidates.config), ())
        raw = whole._all(candidates)
        spread = np.nanmax(raw, axis=0, initial=-np.inf) > np.nanmin(raw, axis=0, initial=np.inf)
        # Of columns that say the same of every candidate, the first.
        _, first = np.unique(np.nan_to_num(raw, nan=-1e9), axis=1, return_index=True)
        return cls(whole.operations, whole.space, tuple(i for i in sorted(first.tolist()) if spread[i]))

    @property
    def names(self) -> tuple[str, ...]:
        """What each column is."""
        numbers = [f"{name} (log)" if log else name for name, log, *_ in self.space.numbers]
        levels = [f"{name} = {level}" for name, known in self.space.categories for level in known]
        every = [*names_of(self.operations), *numbers, *levels]
        return tuple(every[i] for i in self.varying)

    def __call__(self, candidates: Candidates) -> FloatArray:
        """Characteristics of n candidates, shape (n, p); NaN where one is not known."""
        return self._all(candidates)[:, self.varying]

    def _all(self, candidates: Candidates) -> FloatArray:
        graphs = of_graphs(candidates.graphs, self.operations)
        # Of a candidate without a graph, the last row.
        graphs = np.vstack([graphs, np.full((1, len(names_of(self.operations))), np.nan)])[candidates.arch]
        known = candidates.config.reindex(columns=self.columns)
        config, placed = self.space.encode(known, len(candidates))
        if not len(self.space):
            return graphs
        return np.hstack([graphs, np.where(placed[:, None], config, np.nan)])

    @property
    def columns(self) -> list[str]:
        """Hyperparameters that are read."""
        return [*(name for name, *_ in self.space.numbers), *(name for name, _ in self.space.categories)]

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        space = {"numbers": self.space.numbers, "categories": self.space.categories}
        return {"operations": self.operations, "space": space, "varying": self.varying}

    @classmethod
    def from_dict(cls, known: dict[str, Any]) -> Characteristics:
        """Those of which `to_dict` gave these."""
        numbers = tuple((str(n), bool(log), float(mid), float(wide)) for n, log, mid, wide in known["space"]["numbers"])
        categories = tuple((str(n), tuple(map(str, levels))) for n, levels in known["space"]["categories"])
        varying = tuple(int(i) for i in known["varying"])
        return cls(tuple(map(str, known["operations"])), ConfigurationSpace(numbers, categories), varying)


@dataclass(frozen=True, eq=False)
class FeatureMap:
    """From characteristics and embeddings to features whose products are a kernel: linear, and squared exponential.

    Attributes:
        centre: Of the characteristics, shape (p,).
        spread: Of them, shape (p,).
        middle: Of the embeddings, shape (width,).
        directions: From embeddings to their main directions, scaled to variance 1, shape (width, d).
        landmarks: Standardised inputs of some candidates, shape (l, p + d).
        whitening: From likenesses to features, shape (l, l).
    """

    centre: FloatArray
    spread: FloatArray
    middle: FloatArray
    directions: FloatArray
    landmarks: FloatArray
    whitening: FloatArray

    @classmethod
    def of(cls, x: FloatArray, embedding: FloatArray, seed: int = 0, landmarks: int = LANDMARKS) -> FeatureMap:
        """The map that some candidates span; no label is looked at.

        Args:
            x: Characteristics, shape (n, p).
            embedding: Shape (n, width); 0 where there is no architecture.
            seed: Of the draw of landmarks.
            landmarks: How many, at most.
        """
        from sklearn.decomposition import PCA
        from sklearn.kernel_approximation import Nystroem

        known = np.isfinite(x)
        count = np.maximum(known.sum(0), 1)
        centre = np.where(known, x, 0.0).sum(0) / count
        spread = np.sqrt((np.where(known, x - centre, 0.0) ** 2).sum(0) / count)
        spread = np.where(spread > 0, spread, 1.0)
        width = min(DIRECTIONS, *embedding.shape)
        pca = PCA(width, random_state=seed).fit(embedding) if width and embedding.any() else None
        middle = np.zeros(embedding.shape[1]) if pca is None else pca.mean_
        scale = 0 if pca is None else int((pca.explained_variance_ > 1e-8 * pca.explained_variance_[0]).sum())
        directions = np.zeros((embedding.shape[1], 0))
        if pca is not None:
            directions = (pca.components_[:scale] / np.sqrt(pca.explained_variance_[:scale, None])).T
        bare = cls(centre, spread, middle, directions, np.zeros((0, 0)), np.zeros((0, 0)))
        inputs = bare.inputs(x, embedding)
        unique = np.unique(np.round(inputs, 6), axis=0)
        nystroem = Nystroem(gamma=GAMMA, n_components=min(landmarks, len(unique)), random_state=seed).fit(unique)
        return cls(centre, spread, middle, directions, nystroem.components_, nystroem.normalization_.T)

    @property
    def width(self) -> int:
        """Features a candidate."""
        return len(self.landmarks) + self.landmarks.shape[1]

    def standardised(self, x: FloatArray) -> FloatArray:
        """Characteristics in standard deviations of the sources, 0 where one is not known, shape (n, p)."""
        return np.clip(np.nan_to_num((x - self.centre) / self.spread), -REACH, REACH)

    def inputs(self, x: FloatArray, embedding: FloatArray) -> FloatArray:
        """Both blocks, each with a mean square of about 1 over a whole row, shape (n, p + d)."""
        blocks = [self.standardised(x), np.clip((embedding - self.middle) @ self.directions, -REACH, REACH)]
        return np.hstack([block / np.sqrt(max(block.shape[1], 1)) for block in blocks])

    def __call__(self, x: FloatArray, embedding: FloatArray) -> npt.NDArray[np.float32]:
        """Features, shape (n, width)."""
        from sklearn.metrics.pairwise import rbf_kernel

        inputs = self.inputs(x, embedding)
        near = rbf_kernel(inputs, self.landmarks, gamma=GAMMA) @ self.whitening
        return np.hstack([near, inputs]).astype(np.float32)

    def tensors(self) -> dict[str, npt.NDArray[np.float32]]:
        """All arrays."""
        names = ("centre", "spread", "middle", "directions", "landmarks", "whitening")
        return {name: getattr(self, name).astype(np.float32) for name in names}
