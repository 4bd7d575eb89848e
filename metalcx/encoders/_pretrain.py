"""Pre-training without labels: an encoder learns to tell the flow surrogate, and to rank by a zero-cost proxy."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from metalcx._checkpoint import Checkpoint, other_training, save_checkpoint
from metalcx.encoders._batch import FloatArray, Graph, GraphBatch, as_batch
from metalcx.encoders._encoder import GraphEncoder
from metalcx.encoders._flow import FlowSurrogate
from metalcx.encoders._layers import mlp
from metalcx.encoders._lessons import Lessons, told
from metalcx.encoders._ranking import drawn_pairs, hinge
from metalcx.errors import DataError, ModelError

#: ``progress(done, total, note)``.
Progress = Callable[[int, int, str], None]

TASKS = ("flow", "proxy", "both")


@dataclass(frozen=True)
class PretrainConfig:
    """Settings of pre-training, by default the published ones (Kim et al., FGP, NeurIPS 2025).

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
        rate: Learning rate of AdamW, constant.
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
    epochs: int = 200
    batch: int = 256
    rate: float = 1e-3
    weight_decay: float = 1e-6
    checkpoint_every: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise DataError(f"no pre-training {self.task!r:.40}; it is flow, proxy or both")
        least = min(self.pairs, self.flow_hidden, self.proxy_hidden, self.epochs, self.batch, self.checkpoint_every)
        if least < 1 or not self.rate > 0:
            raise DataError("pairs, widths, epochs, batch and checkpoint_every are at least 1, the rate is more than 0")


class Heads(nn.Module):
    """An encoder with what is put on it while it is pre-trained.

    Args:
        encoder: The encoder.
        config: Sizes of the heads.
        proxies: How many proxies there are to rank by.
    """

    def __init__(self, encoder: GraphEncoder, config: PretrainConfig, proxies: int = 1) -> None:
        super().__init__()
        self.encoder = encoder
        self.flow = mlp(encoder.width, config.flow_hidden, config.surrogate.k)
        self.proxy = mlp(encoder.width, config.proxy_hidden, proxies)


def pretrain(
    encoder: GraphEncoder,
    graphs: Sequence[Graph] | GraphBatch,
    config: PretrainConfig | None = None,
    *,
    proxy: npt.ArrayLike | None = None,
    group: npt.ArrayLike | None = None,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> FloatArray:
    """Pre-train `encoder` in place. Which graphs are given decides what it may know: no label is used.

    An epoch's randomness comes from its number alone, so that going on from a checkpoint gives the same weights.

    Args:
        encoder: What to train.
        graphs: All that it sees; with those that are judged later it is transductive, without them inductive.
        config: Settings; the published ones by default.
        proxy: What to rank by, higher is better, shape (graphs,), or (graphs, p) for p proxies at once, each by an
            output of its own and with the same say; NaN where it is not known. Needed unless the task is ``flow``.
        group: Number of the search space of each graph, shape (graphs,): proxies are compared within one only. All
            are of one by default.
        checkpoint: A file to go on from if it is there, and to write to.
        progress: Called with (epochs done, epochs, note).

    Returns:
        Mean loss of the surrogate and of the ranking in each epoch, float32, shape (epochs, 2). The first is a
        squared error summed over coordinates: k for one who tells the mean of standardised surrogates.

    Raises:
        DataError: If there is no graph, or the proxy is missing or has another shape.
        ModelError: If the checkpoint belongs to another training or is damaged, or the loss stops being a number.
    """
    config, batch = config or PretrainConfig(), as_batch(graphs)
    if not len(batch):
        raise DataError("there is no graph to pre-train on; give some")
    groups = np.broadcast_to(np.asarray(0 if group is None else group, dtype=np.int64), len(batch))
    lessons = Lessons(batch, _targets(config, batch), _ranks(config, batch, proxy), groups)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        module = Heads(encoder, config, lessons.ranks.shape[1])
        optimiser = torch.optim.AdamW(module.parameters(), lr=config.rate, weight_decay=config.weight_decay)
        about = _about(config, encoder, lessons)
        history = _restore(checkpoint, module, optimiser, about) if checkpoint is not None else torch.zeros(0, 2)
        module.train()
        for epoch in range(len(history), config.epochs):
            losses = _epoch(module, optimiser, lessons, config, epoch)
            history = torch.cat([history, losses[None]])
            done = epoch + 1
            if checkpoint is not None and (done % config.checkpoint_every == 0 or done == config.epochs):
                save_checkpoint(checkpoint, module, optimiser, {"about": about}, history=history)
            if progress is not None:
                progress(done, config.epochs, f"pre-training, surrogate {losses[0]:.4f}, ranking {losses[1]:.4f}")
    encoder.eval()
    return history.numpy()


def _restore(path: Path, module: nn.Module, optimiser: torch.optim.Optimizer, about: str) -> Tensor:
    """Losses of the epochs that a checkpoint has behind it."""
    known = Checkpoint.read(path)
    if known is None:
        return torch.zeros(0, 2)
    if known.about.get("about") != about:
        raise other_training(path)
    known.put_into(module, optimiser)
    return known.tensors["history"]


def _epoch(
    module: Heads,
    optimiser: torch.optim.Optimizer,
    lessons: Lessons,
    config: PretrainConfig,
    epoch: int,
) -> Tensor:
    """One pass over all graphs; the mean of each loss."""
    random = np.random.default_rng([config.seed, epoch])
    torch.manual_seed(int(random.integers(2**31)))
    order = random.permutation(len(lessons))
    sums = torch.zeros(2)
    for begin in range(0, len(lessons), config.batch):
        part = order[begin : begin + config.batch]
        losses = _losses(module, lessons.take(part), config, random)
        loss = config.flow_weight * losses[0] + config.proxy_weight * losses[1]
        if not torch.isfinite(loss):
            raise ModelError(f"the loss of pre-training is {float(loss.detach())} in epoch {epoch}; lower the rate")
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        sums += len(part) * losses.detach()
    return sums / len(lessons)


def _losses(module: Heads, lessons: Lessons, config: PretrainConfig, random: np.random.Generator) -> Tensor:
    """Losses of the surrogate and of the ranking, 0 for what is not part of the task."""
    embedding = module.encoder(lessons.batch)
    flow = proxy = embedding.new_zeros(())
    if config.task != "proxy":
        flow = (module.flow(embedding) - lessons.targets).square().sum(1).mean()
    if config.task != "flow":
        proxy = _ranking(module.proxy(embedding), lessons, config, random)
    return torch.stack([flow, proxy])


def _ranking(scores: Tensor, lessons: Lessons, config: PretrainConfig, random: np.random.Generator) -> Tensor:
    """The mean over proxies of the loss of ranking by each, shape of scores: (graphs, p)."""
    most = config.pairs * len(lessons)
    pairs = [drawn_pairs(ranks, most, random, lessons.group) for ranks in lessons.ranks.T]
    return torch.stack([hinge(own, by, config.margin) for own, by in zip(scores.T, pairs, strict=True)]).mean()


def _targets(config: PretrainConfig, batch: GraphBatch) -> Tensor:
    """What is to be told, shape (graphs, k)."""
    if config.task == "proxy":
        return torch.zeros(len(batch), config.surrogate.k)
    return told(config.surrogate, batch, config.standardise)


def _ranks(config: PretrainConfig, batch: GraphBatch, proxy: npt.ArrayLike | None) -> npt.NDArray[np.float64]:
    """The proxies, shape (graphs, p)."""
    if config.task == "flow":
        return np.full((len(batch), 1), np.nan)
    if proxy is None:
        raise DataError(f"pre-training {config.task!r} ranks by a proxy; give one, or choose flow")
    values = np.asarray(proxy, dtype=np.float64)
    if values.shape[:1] != (len(batch),) or values.ndim > 2 or not values.size:
        raise DataError(
            f"the proxy has shape {values.shape}; it needs one number, or row, for each of {len(batch)} graphs"
        )
    return values.reshape(len(batch), -1)


def _about(config: PretrainConfig, encoder: GraphEncoder, lessons: Lessons) -> str:
    """All that decides what comes out: settings, what is learned from, and the weights before the first step."""
    first = hashlib.sha256()
    for array in encoder.tensors().values():
        first.update(np.ascontiguousarray(array).tobytes())
    settings = {"pretrain": asdict(config), "encoder": asdict(encoder.config)}
    return json.dumps({**settings, "graphs": lessons.digest(), "weights": first.hexdigest()}, sort_keys=True)
