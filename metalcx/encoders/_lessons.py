"""What pre-training learns from: graphs, their surrogates, and the proxies by which they are ranked."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from metalcx.encoders._batch import GraphBatch
from metalcx.encoders._flow import FlowSurrogate
from metalcx.encoders._pretrain_config import PretrainConfig
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

    @classmethod
    def of(
        cls,
        batch: GraphBatch,
        configs: Sequence[PretrainConfig],
        proxy: npt.ArrayLike | None,
        group: npt.ArrayLike | None,
    ) -> Lessons:
        """What trainings of these settings need to know of some graphs.

        Raises:
            DataError: If a proxy is missing or has another shape, or a surrogate is not finite.
        """
        config, tasks, n = configs[0], {own.task for own in configs}, len(batch)
        ranks = np.full((n, 1), np.nan) if tasks == {"flow"} else _ranks(tasks, n, proxy)
        groups = np.broadcast_to(np.asarray(0 if group is None else group, dtype=np.int64), n)
        if tasks == {"proxy"}:
            return cls(batch, torch.zeros(n, config.surrogate.k), ranks, groups)
        return cls(batch, told(config.surrogate, batch, config.standardise), ranks, groups)

    def digest(self) -> str:
        """A fingerprint of everything here."""
        digest = hashlib.sha256()
        graphs = (self.batch.offsets, self.batch.edges, self.batch.features)
        for array in (*graphs, self.targets.numpy(), self.ranks, self.group):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def _ranks(tasks: set[str], n: int, proxy: npt.ArrayLike | None) -> npt.NDArray[np.float64]:
    """The proxies, shape (graphs, p)."""
    if proxy is None:
        raise DataError(f"pre-training {min(tasks - {'flow'})!r} ranks by a proxy; give one, or choose flow")
    values = np.asarray(proxy, dtype=np.float64)
    if values.shape[:1] != (n,) or values.ndim > 2 or not values.size:
        raise DataError(f"the proxy has shape {values.shape}; it needs one number, or row, for each of {n} graphs")
    return values.reshape(n, -1)


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
