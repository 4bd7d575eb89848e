"""From a few labelled graphs to a predictor that ranks all others."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from metalcx.encoders._batch import Graph, GraphBatch, as_batch
from metalcx.encoders._encoder import GraphEncoder
from metalcx.encoders._layers import mlp
from metalcx.encoders._pretrain import Progress
from metalcx.encoders._ranking import drawn_pairs, hinge
from metalcx.errors import DataError, ModelError


@dataclass(frozen=True)
class FinetuneConfig:
    """Settings of fine-tuning, by default the published ones (Kim et al., FGP, NeurIPS 2025) where they are known.

    Args:
        epochs: Passes over the labelled graphs; published are 200, 500 and 300 for NAS-Bench-101, 201 and 301.
        batch: Graphs in a step, of which all pairs count.
        rate: Learning rate of AdamW, constant.
        weight_decay: Of AdamW.
        margin: By how much the better of two is to be ahead.
        hidden: Width of the hidden layer between embedding and score.
        seed: Of that layer, batches and dropout.

    Raises:
        DataError: If a number cannot be.
    """

    epochs: int = 200
    batch: int = 16
    rate: float = 1e-3
    weight_decay: float = 1e-6
    margin: float = 0.5
    hidden: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.epochs, self.hidden) < 1 or self.batch < 2 or not self.rate > 0:
            raise DataError("epochs and hidden are at least 1, a batch has 2 graphs or more, the rate is more than 0")


class Labelled(NamedTuple):
    """Graphs and what is known of each, higher is better, shape (graphs,)."""

    graphs: Sequence[Graph] | GraphBatch
    values: npt.ArrayLike

    def checked(self, what: str) -> tuple[GraphBatch, npt.NDArray[np.float64]]:
        """Batch and values.

        Raises:
            DataError: If there are not as many values as graphs, or one is not finite.
        """
        batch, values = as_batch(self.graphs), np.asarray(self.values, dtype=np.float64)
        if values.shape != (len(batch),):
            raise DataError(f"{what}: values of shape {values.shape} for {len(batch)} graphs; give one for each")
        if not np.isfinite(values).all():
            raise DataError(f"{what}: {(~np.isfinite(values)).sum()} values are not finite; leave those graphs out")
        return batch, values


class Ranker:
    """Scores graphs: the higher, the better. Only their order means something.

    Args:
        encoder: From graphs to embeddings.
        head: From embeddings to scores.
    """

    def __init__(self, encoder: GraphEncoder, head: nn.Module) -> None:
        self.module = nn.ModuleList([encoder, head]).eval()
        self.encoder, self.head = encoder, head

    def score(self, graphs: Sequence[Graph] | GraphBatch) -> npt.NDArray[np.float64]:
        """Scores of some graphs, each independent of which others there are, shape (graphs,)."""
        with torch.inference_mode():
            return np.asarray(self.head(torch.from_numpy(self.encoder.encode(graphs)))[:, 0].double().numpy())


def finetune(
    encoder: GraphEncoder,
    train: Labelled,
    valid: Labelled | None = None,
    config: FinetuneConfig | None = None,
    progress: Progress | None = None,
) -> Ranker:
    """Train a copy of `encoder`, with a new head on it, to rank labelled graphs.

    Args:
        encoder: Pre-trained or not; untouched.
        train: What is learned from.
        valid: What decides which epoch is kept: the first with the highest Kendall tau. Without it, the last.
        config: Settings.
        progress: Called with (epochs done, epochs, note).

    Returns:
        The ranker.

    Raises:
        DataError: If values are missing or not finite, or fewer than two graphs are labelled.
        ModelError: If the loss stops being a number.
    """
    config = config or FinetuneConfig()
    batch, values = train.checked("training")
    judged = valid.checked("validation") if valid is not None else None
    if len(batch) < 2:
        raise DataError(f"{len(batch)} labelled graphs can be put in no order; give at least 2")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        ranker = Ranker(copy.deepcopy(encoder), mlp(encoder.width, config.hidden, 1))
        optimiser = torch.optim.AdamW(ranker.module.parameters(), lr=config.rate, weight_decay=config.weight_decay)
        random, best, kept = np.random.default_rng(config.seed), -np.inf, None
        for epoch in range(config.epochs):
            _epoch(ranker, optimiser, batch, values, config, random)
            tau = _tau(ranker.score(judged[0]), judged[1]) if judged is not None else 0.0
            if judged is not None and tau > best:
                best, kept = tau, copy.deepcopy(ranker.module.state_dict())
            if progress is not None:
                progress(epoch + 1, config.epochs, f"fine-tuning, Kendall tau {tau:.4f}")
    if kept is not None:
        ranker.module.load_state_dict(kept)
    return ranker


def _epoch(
    ranker: Ranker,
    optimiser: torch.optim.Optimizer,
    batch: GraphBatch,
    values: npt.NDArray[np.float64],
    config: FinetuneConfig,
    random: np.random.Generator,
) -> None:
    order = random.permutation(len(batch))
    ranker.module.train()
    for part in np.array_split(order, max(1, round(len(order) / config.batch))):
        scores = ranker.head(ranker.encoder(batch.take(part)))[:, 0]
        loss = hinge(scores, drawn_pairs(values[part], len(part) ** 2, random), config.margin)
        if not torch.isfinite(loss):
            raise ModelError(f"the loss of fine-tuning is {float(loss.detach())}; lower the rate")
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    ranker.module.eval()


def _tau(scores: npt.NDArray[np.float64], values: npt.NDArray[np.float64]) -> float:
    """Kendall's tau-b; -1 where it is not defined, as all are alike."""
    from scipy.stats import kendalltau

    tau = float(kendalltau(scores, values).statistic)
    return tau if np.isfinite(tau) else -1.0
