"""What pre-training learns from: graphs, their surrogates, and the proxies by which they are ranked."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from metalcx.encoders._batch import GraphBatch
from metalcx.encoders._flow import FlowSurrogate
from metalcx.errors import DataError


@dataclass(frozen=True)
class Lessons:
    """Graphs and what is to be learned of them.

    Attributes:
        batch: The graphs.
        targets: What is to be told of each, shape (graphs, k).
        ranks: What they are to be ranked by, shape (graphs, p).
        group: Among which they are to be ranked, shape (graphs,).
    """

    batch: GraphBatch
    targets: Tensor
    ranks: npt.NDArray[np.float64]
    group: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.batch)

    def take(self, index: npt.NDArray[np.int64]) -> Lessons:
        """Those of some graphs."""
        targets = self.targets[torch.from_numpy(index)]
        return Lessons(self.batch.take(index), targets, self.ranks[index], self.group[index])

    def digest(self) -> str:
        """A fingerprint of everything here."""
        digest = hashlib.sha256()
        graphs = (self.batch.offsets, self.batch.edges, self.batch.features)
        for array in (*graphs, self.targets.numpy(), self.ranks, self.group):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def told(surrogate: FlowSurrogate, batch: GraphBatch, standardise: bool) -> Tensor:
    """The surrogates of some graphs as they are to be told, float32, shape (graphs, k).

    Args:
        surrogate: Which numbers.
        batch: The graphs.
        standardise: Whether arsinh(s / median |s|) with mean 0 and variance 1 in each coordinate stands for s.

    Raises:
        DataError: If one is not finite.
    """
    flow = surrogate(batch).astype(np.float64)
    if not np.isfinite(flow).all():
        raise DataError("the surrogate of some graph is too large for its numbers; choose a smaller std or alpha")
    if standardise:
        middle = np.median(np.abs(flow), axis=0)
        flow = np.arcsinh(flow / np.where(middle > 0, middle, 1.0))
        spread = flow.std(0)
        flow = (flow - flow.mean(0)) / np.where(spread > 0, spread, 1.0)
    return torch.from_numpy(flow.astype(np.float32))
