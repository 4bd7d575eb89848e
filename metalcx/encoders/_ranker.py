"""What ranks graphs: an encoder with a head on it."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from metalcx.encoders._batch import FloatArray, Graph, GraphBatch, as_batch
from metalcx.encoders._encoder import GraphEncoder
from metalcx.encoders._inputs import Inputs
from metalcx.encoders._layers import mlp
from metalcx.errors import DataError


@dataclass(frozen=True)
class FinetuneConfig:
    """Settings of fine-tuning, by default the published ones (Kim et al., FGP, NeurIPS 2025) but for rate and epochs.

    Published is a constant rate of 1e-3 over 200, 500 and 300 epochs for NAS-Bench-101, 201 and 301; the rate here was
    chosen on SpikeNAS-Bench.

    Args:
        epochs: Passes over the labelled graphs.
        most_steps: Steps after which no further epoch begins, so that many labels take no longer than few.
        batch: Graphs in a step, of which all pairs count.
        rate: Learning rate of AdamW: its peak, or throughout.
        annealed: Whether the rate rises over the first tenth of the epochs and falls to 0 over the others.
        weight_decay: Of AdamW.
        margin: By how much the better of two is to be ahead.
        hidden: Width of the hidden layer between embedding and score.
        seed: Of that layer, batches and dropout.

    Raises:
        DataError: If a number cannot be.
    """

    epochs: int = 200
    batch: int = 16
    rate: float = 3e-3
    annealed: bool = True
    weight_decay: float = 1e-6
    margin: float = 0.5
    hidden: int = 64
    seed: int = 0
    most_steps: int | None = None

    def __post_init__(self) -> None:
        if (
            min(self.epochs, self.hidden, 1 if self.most_steps is None else self.most_steps) < 1
            or self.batch < 2
            or not self.rate > 0
        ):
            raise DataError(
                "epochs, hidden and most_steps are at least 1, a batch has 2 graphs or more, the rate is more than 0"
            )


def columns(extra: npt.ArrayLike | None, n: int, what: str) -> FloatArray:
    """Further columns of n graphs, shape (n, q).

    Raises:
        DataError: If they have another shape, or a number is not finite.
    """
    table = np.zeros((n, 0)) if extra is None else np.asarray(extra, dtype=np.float64)
    if table.ndim != 2 or len(table) != n:
        raise DataError(f"{what}: further columns of shape {table.shape} for {n} graphs; give a row for each")
    if not np.isfinite(table).all():
        raise DataError(f"{what}: further columns hold numbers that are not finite; fill them in first")
    return table.astype(np.float32)


class Ranker(nn.Module):
    """Scores graphs: the higher, the better. Only their order means something.

    Args:
        encoder: From graphs to embeddings.
        head: From embeddings, and what stands beside them, to scores.
        extra: How many further columns the head reads.
    """

    def __init__(self, encoder: GraphEncoder, head: nn.Module, extra: int = 0) -> None:
        super().__init__()
        self.encoder, self.head, self.extra = encoder, head, extra

    @classmethod
    def fresh(cls, encoder: GraphEncoder, config: FinetuneConfig, extra: int = 0) -> Ranker:
        """A copy of the encoder with a new head on it, of the configuration's seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            return cls(copy.deepcopy(encoder), mlp(encoder.width + extra, config.hidden, 1), extra).eval()

    def forward(self, graphs: GraphBatch | Inputs, extra: Tensor) -> Tensor:
        """Scores as the training sees them, shape (graphs,), with further columns of shape (graphs, q)."""
        return torch.as_tensor(self.head(torch.cat([self.encoder(graphs), extra], 1))[:, 0])

    def score(
        self, graphs: Sequence[Graph] | GraphBatch, extra: npt.ArrayLike | None = None
    ) -> npt.NDArray[np.float64]:
        """Scores of some graphs, each independent of which others there are, shape (graphs,).

        Args:
            graphs: The graphs.
            extra: The columns that it was trained with, shape (graphs, q).

        Raises:
            DataError: If there are other columns, or a number is not finite.
        """
        batch = as_batch(graphs)
        table = columns(extra, len(batch), "scoring")
        if table.shape[1] != self.extra:
            raise DataError(f"scoring: {table.shape[1]} further columns; the ranker was trained with {self.extra}")
        with torch.inference_mode():
            embedding = torch.from_numpy(self.encoder.encode(batch))
            return np.asarray(self.head(torch.cat([embedding, torch.from_numpy(table)], 1))[:, 0].double().numpy())
