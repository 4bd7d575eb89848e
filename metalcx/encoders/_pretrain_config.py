"""Settings of pre-training."""

from __future__ import annotations

from dataclasses import dataclass, field

from metalcx._schedule import warmed_and_annealed
from metalcx.encoders._flow import FlowSurrogate
from metalcx.errors import DataError

TASKS = ("flow", "proxy", "both")


@dataclass(frozen=True)
class PretrainConfig:
    """Settings of pre-training, by default the published ones (Kim et al., FGP, NeurIPS 2025) but for the rate.

    Published is a constant rate of 1e-3 over 200 epochs; one that rises and falls learns more in fewer epochs.

    Args:
        task: ``flow`` (tell the surrogate), ``proxy`` (rank by the proxy) or ``both``.
        surrogate: Which numbers are to be told.
        standardise: Whether to tell arsinh(s / median |s|) with mean 0 and variance 1 in each coordinate instead of s
            itself, as published: graphs of several spaces have surrogates that differ by orders of magnitude.
        flow_weight: Of the squared error of the surrogate, summed over its coordinates.
        proxy_weight: Of the ranking loss.
        margin: Of the ranking loss.
        pairs: Pairs in a batch, at most, as a multiple of its graphs.
        flow_hidden: Width of the hidden layer of the head that tells the surrogate.
        proxy_hidden: Width of that of the head that ranks.
        epochs: Passes over the graphs.
        batch: Graphs in a step.
        rate: Learning rate of AdamW: its peak, or throughout.
        annealed: Whether the rate rises over the first tenth of the epochs and falls to 0 over the others.
        weight_decay: Of AdamW.
        checkpoint_every: Epochs between checkpoints.
        seed: Of heads, batches, pairs and dropout.

    Raises:
        DataError: If there is no such task, or a number that cannot be.
    """

    task: str = "both"
    surrogate: FlowSurrogate = field(default_factory=lambda: FlowSurrogate(k=7, std=0.1))
    standardise: bool = True
    flow_weight: float = 0.5
    proxy_weight: float = 0.5
    margin: float = 0.5
    pairs: int = 8
    flow_hidden: int = 128
    proxy_hidden: int = 64
    epochs: int = 60
    batch: int = 256
    rate: float = 5e-3
    annealed: bool = True
    weight_decay: float = 1e-6
    checkpoint_every: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise DataError(f"no pre-training {self.task!r:.40}; it is flow, proxy or both")
        least = min(self.pairs, self.flow_hidden, self.proxy_hidden, self.epochs, self.batch, self.checkpoint_every)
        if least < 1 or not self.rate > 0:
            raise DataError("pairs, widths, epochs, batch and checkpoint_every are at least 1, the rate is more than 0")

    def rate_at(self, epoch: int) -> float:
        """Learning rate in an epoch, counted from 0."""
        return self.rate * warmed_and_annealed((epoch + 0.5) / self.epochs) if self.annealed else self.rate
