"""Meta-training of the latent graph ODE: episodes of many datasets, adaptation amortised, an annealed ELBO."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from metalcx._parallel import crew
from metalcx.forecasters._gate_network import gate_loss
from metalcx.forecasters._graph_ode import LatentGraphODE
from metalcx.forecasters._ode_config import OdeConfig
from metalcx.forecasters._ode_network import OdeNetwork, divergence
from metalcx.forecasters._traits import Architectures
from metalcx.transfer._ode_pool import OdePool, build_ode_pool
from metalcx.transfer._pieces import Progress, drawn_once
from metalcx.transfer._pool import PoolConfig
from metalcx.transfer._tasks import PreparedTask
from metalcx.transfer._train import (
    STD_FLOOR,
    StepLoss,
    TrainConfig,
    cumulative_odds,
    drawn_rows,
    episode_odds,
    run_outer_loop,
)

if TYPE_CHECKING:
    from metalcx.encoders import GraphEncoder

#: Requests of which features are standardised.
SOME = 100_000


@dataclass(frozen=True)
class OdeMetaConfig:
    """All settings of a meta-training of the latent graph ODE.

    Args:
        network: Sizes and parts; the width of embeddings is that of the encoder.
        pool: Which episodes to draw.
        train: The outer loop.
        divergence: Weight of KL(q(z0) || N(0, 1)) beside the loss of the forecast, when all of it counts.
        warm_up: Share of the steps in which that weight rises from 0.
    """

    network: OdeConfig = field(default_factory=OdeConfig)
    pool: PoolConfig = field(
        default_factory=lambda: PoolConfig(per_task=80, per_small_task=15, mixed=4000, synthetic=2000)
    )
    train: TrainConfig = field(default_factory=TrainConfig)
    divergence: float = 0.003
    warm_up: float = 0.2


def meta_train_ode(
    tasks: Sequence[PreparedTask],
    work: Path,
    config: OdeMetaConfig | None = None,
    encoder: GraphEncoder | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> LatentGraphODE:
    """Meta-train a latent graph ODE on source tasks; goes on from what an earlier call left in `work`.

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
    config = config or OdeMetaConfig()
    reader = Architectures(encoder)
    pool = drawn_once(tasks, lambda: build_ode_pool(tasks, config.pool, reader, work / "pool", workers, progress))
    return train_ode_on(pool, tasks, config, encoder, work / "checkpoint.safetensors", progress=progress)


def train_ode_on(
    pool: OdePool,
    tasks: Sequence[PreparedTask],
    config: OdeMetaConfig,
    encoder: GraphEncoder | None = None,
    checkpoint: Path | None = None,
    usable: npt.NDArray[np.bool_] | None = None,
    progress: Progress | None = None,
) -> LatentGraphODE:
    """Meta-train on a pool that is there already; see `meta_train_ode`.

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
    network = _network(size, pool, odds, config.train.seed)
    loss = _loss(network, pool, odds, config)
    about = about_training(pool, odds, [asdict(size), config.divergence, config.warm_up])
    run_outer_loop(network, loss, config.train, size.gate.members, checkpoint, progress, about)
    network.part = None
    return LatentGraphODE(size, network, encoder)


def _network(size: OdeConfig, pool: OdePool, odds: npt.NDArray[np.float64], seed: int) -> OdeNetwork:
    """Fresh, and it standardises features and embeddings as they are in what it learns from."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = OdeNetwork(size)
    standardise((network.gate.mean, network.gate.std), (network.arch_mean, network.arch_std), pool, odds, seed)
    return network


def standardise(
    features: tuple[Tensor, Tensor],
    arch: tuple[Tensor, Tensor],
    pool: OdePool,
    odds: npt.NDArray[np.float64],
    seed: int,
) -> None:
    """Write means and deviations of what is learned from into those of a network, in place.

    Args:
        features: Of requests, shape (N_FEATURES,) each.
        arch: Of embeddings; of another width than the pool's if they are not read.
        pool: The pool.
        odds: Probability of each episode; those of 0 are not looked at.
        seed: Of which requests are looked at.
    """
    usable = np.flatnonzero(odds[pool.episode] > 0)
    some = usable[np.random.default_rng([seed, 3]).integers(0, len(usable), min(len(usable), SOME))]
    x = pool.times["x"][some].astype(np.float32)
    features[0].copy_(torch.from_numpy(x.mean(0)))
    features[1].copy_(torch.from_numpy(x.std(0) + STD_FLOOR))
    own = np.unique(pool.arch[pool.run[usable]])
    if len(arch[0]) == pool.embeddings.shape[1] and (own >= 0).any():
        known = pool.embeddings[own[own >= 0]]
        arch[0].copy_(torch.from_numpy(known.mean(0)))
        arch[1].copy_(torch.from_numpy(known.std(0) + STD_FLOOR * known.std()))


def _loss(network: OdeNetwork, pool: OdePool, odds: npt.NDArray[np.float64], config: OdeMetaConfig) -> StepLoss:
    """Loss of the forecast, in place of the negative log likelihood of an ELBO, and the annealed divergence."""
    cumulative = cumulative_odds(pool.episode, odds)
    read = network.config.arch

    def loss(step: int) -> Tensor:
        rows, share = crew().part(drawn_rows(cumulative, config.train, step))
        own, _ = crew().part(np.arange(config.train.batch))
        network.part = torch.from_numpy(own).to(crew().device), config.train.batch
        noise, _ = crew().part(torch.randn(config.train.batch, network.config.latent).numpy())
        runs, times, y, weight = pool.batch(rows, crew().device)
        drawn = torch.from_numpy(noise).to(crew().device)[None]
        quantiles, law, _ = network(runs._replace(arch=runs.arch[:, :read]), times, drawn)
        grown = min(1.0, step / max(config.warm_up * config.train.steps, 1.0))
        elbo = gate_loss(quantiles, y, weight) + config.divergence * grown * divergence(law).mean()
        return share * elbo

    return loss


def about_training(pool: OdePool, odds: npt.NDArray[np.float64], settings: Sequence[Any]) -> str:
    """Tells trainings on other data, or of other settings (JSON values), apart."""
    digest = hashlib.sha256(json.dumps(settings).encode())
    for array in (odds, pool.episode, pool.y, pool.embeddings, pool.runs["config"]):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
