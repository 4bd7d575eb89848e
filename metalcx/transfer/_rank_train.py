"""Meta-training of the pairwise ranker: whole episodes of many datasets, pairs of runs of one episode alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from metalcx._parallel import crew
from metalcx.forecasters._rank_net import RankNet
from metalcx.forecasters._rank_network import RankConfig, RankNetwork
from metalcx.forecasters._rank_pairs import by_owner, pair_losses, pairs_within, targets
from metalcx.forecasters._traits import Architectures
from metalcx.transfer._inner import rows_of
from metalcx.transfer._ode_pool import OdePool, build_ode_pool
from metalcx.transfer._ode_train import OdeMetaConfig, about_training, standardise
from metalcx.transfer._pieces import Progress, drawn_once
from metalcx.transfer._pool import PoolConfig
from metalcx.transfer._tasks import PreparedTask
from metalcx.transfer._train import StepLoss, TrainConfig, episode_odds, run_outer_loop

if TYPE_CHECKING:
    from metalcx.encoders import GraphEncoder

#: Items of `TrainConfig.batch` for which one episode stands.
PER_EPISODE = 16

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class RankMetaConfig:
    """All settings of a meta-training of the pairwise ranker.

    Args:
        network: Sizes and parts; the width of embeddings is that of the encoder.
        pool: Which episodes to draw; those of the latent graph ODE.
        train: The outer loop; an episode stands for `PER_EPISODE` items of a batch.
        penalty: On squared corrections of the centre, in anchors: pairs tell nothing of what is common to a task's
            scores, which this keeps near the centre.
    """

    network: RankConfig = field(default_factory=RankConfig)
    pool: PoolConfig = field(default_factory=lambda: OdeMetaConfig().pool)
    train: TrainConfig = field(default_factory=TrainConfig)
    penalty: float = 0.01


def meta_train_rank_net(
    tasks: Sequence[PreparedTask],
    work: Path,
    config: RankMetaConfig | None = None,
    encoder: GraphEncoder | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> RankNet:
    """Meta-train a pairwise ranker on source tasks; goes on from what an earlier call left in `work`.

    Args:
        tasks: Source tasks, from `prepared`.
        work: Folder for drawn episodes and the checkpoint.
        config: Settings.
        encoder: What reads architectures; None if none are read.
        workers: Processes that draw episodes; the result does not depend on it.
        progress: Called with (done, total, what).

    Raises:
        DataError: If there is nothing to learn from.
        ModelError: If `work` holds the checkpoint of another training.
    """
    config = config or RankMetaConfig()
    reader = Architectures(encoder)
    pool = drawn_once(tasks, lambda: build_ode_pool(tasks, config.pool, reader, work / "pool", workers, progress))
    return train_rank_net_on(pool, tasks, config, encoder, work / "checkpoint.safetensors", progress=progress)


def train_rank_net_on(
    pool: OdePool,
    tasks: Sequence[PreparedTask],
    config: RankMetaConfig,
    encoder: GraphEncoder | None = None,
    checkpoint: Path | None = None,
    usable: npt.NDArray[np.bool_] | None = None,
    progress: Progress | None = None,
) -> RankNet:
    """Meta-train on a pool that is there already; see `meta_train_rank_net`.

    Args:
        pool: Episodes drawn from `tasks`.
        tasks: The tasks of the pool.
        config: Settings.
        encoder: That of the pool's embeddings, or None to leave them out.
        checkpoint: File to go on from and to write to.
        usable: Tasks that may be learned from, shape (tasks,); all by default.
        progress: Called with (done, total, what).

    Raises:
        DataError: If there is nothing to learn from.
        ModelError: If `checkpoint` is that of another training.
    """
    size = replace(config.network, arch=0 if encoder is None else encoder.width)
    odds = episode_odds(pool, list(tasks), config.train, config.pool, usable)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.train.seed)
        network = RankNetwork(size)
    scales = (network.mean, network.std), (network.arch_mean, network.arch_std)
    standardise(*scales, pool, odds, config.train.seed)
    about = about_training(pool, odds, [asdict(size), config.penalty])
    run_outer_loop(network, _loss(network, pool, odds, config), config.train, 1, checkpoint, progress, about)
    return RankNet(size, network, encoder)


class Pairs(NamedTuple):
    """What a step, or one process's part of it, learns from.

    Attributes:
        rows: Requests of the pool, each for the end of a run, shape (b,).
        owner: Which of the step's episodes each is of, shape (b,).
        pairs: Places in `rows`, of one episode each, shape (2, p).
    """

    rows: IntArray
    owner: IntArray
    pairs: IntArray


def pairs_of(edges: IntArray, episodes: IntArray) -> Pairs:
    """All pairs of runs of each episode.

    Args:
        edges: Where the requests of each episode of the pool begin, and where the last ends, shape (episodes + 1,).
        episodes: Those of the step; one that is there twice is two.
    """
    # Of the 2n requests of an episode the first n are for the ends of its n runs.
    runs = np.diff(edges)[episodes] // 2
    owner = np.repeat(np.arange(len(episodes)), runs)
    first = np.repeat(np.cumsum(runs) - runs, runs)
    rows = edges[episodes][owner] + np.arange(len(owner)) - first
    return Pairs(rows, owner, pairs_within(owner))


def drawn_episodes(cumulative: npt.NDArray[np.float64], config: TrainConfig, step: int) -> IntArray:
    """What one step learns from, by its number alone; shape (episodes,)."""
    drawn = np.random.default_rng([config.seed, 5, step]).random(max(1, config.batch // PER_EPISODE))
    return np.minimum(np.searchsorted(cumulative, drawn, side="right"), len(cumulative) - 1)


def _loss(network: RankNetwork, pool: OdePool, odds: npt.NDArray[np.float64], config: RankMetaConfig) -> StepLoss:
    """Mean over episodes of the mean cross-entropy of their pairs."""
    edges = rows_of(pool.episode, len(odds))
    able = np.flatnonzero(odds > 0)
    cumulative = np.cumsum(odds[able] / odds[able].sum())
    read = network.config.arch

    def loss(step: int) -> Tensor:
        episodes, share = crew().part(able[drawn_episodes(cumulative, config.train, step)])
        chosen = pairs_of(edges, episodes)
        runs, times, y, anchor = pool.batch(chosen.rows, crew().device)
        outcome, owner, pairs = (
            torch.from_numpy(array).to(crew().device) for array in (pool.outcome[chosen.rows], *chosen[1:])
        )
        above = network(runs._replace(arch=runs.arch[:, :read]), times.run, times.x)
        logits = network.lead(outcome - anchor * y + anchor * above, anchor, pairs)
        ranked = by_owner(pair_losses(logits, targets(outcome, pairs)), owner[pairs[0]], len(episodes))
        astray = by_owner(above.square(), owner, len(episodes))
        return share * (ranked + config.penalty * astray).mean()

    return loss
