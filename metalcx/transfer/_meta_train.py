"""From source tasks to a meta-trained forecaster."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from metalcx._parallel import crew
from metalcx.errors import DataError, name_some
from metalcx.forecasters._expert_gate import ExpertGate
from metalcx.forecasters._few_shot import InnerLoop
from metalcx.forecasters._gate_network import GateConfig
from metalcx.transfer._inner import ALGORITHMS, InnerConfig, inner_loss, trained_inner, wrap
from metalcx.transfer._pieces import Progress, drawn_once
from metalcx.transfer._pool import Pool, PoolConfig, build_pool
from metalcx.transfer._tasks import PreparedTask
from metalcx.transfer._train import TrainConfig, episode_odds, episodic_loss, new_network, run_outer_loop


@dataclass(frozen=True)
class MetaConfig:
    """All settings of a meta-training.

    Args:
        algorithm: ``episodic`` (plain episodes, adaptation amortised), ``maml``, ``metasgd`` or ``anil``.
        network: Size of the network.
        pool: Which episodes to draw.
        train: The outer loop.
        inner: The inner loop of the gradient-based algorithms.

    Raises:
        DataError: If there is no such algorithm.
    """

    algorithm: str = "episodic"
    network: GateConfig = field(default_factory=GateConfig)
    pool: PoolConfig = field(default_factory=PoolConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    inner: InnerConfig = field(default_factory=InnerConfig)

    def __post_init__(self) -> None:
        if self.algorithm not in ALGORITHMS:
            raise DataError(f"no algorithm {self.algorithm!r}; there is {name_some(ALGORITHMS)}")
        object.__setattr__(self, "pool", replace(self.pool, with_support=self.algorithm != "episodic"))


def meta_train(
    tasks: Sequence[PreparedTask],
    work: Path,
    config: MetaConfig | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> ExpertGate:
    """Meta-train a forecaster on source tasks.

    Goes on from what an earlier call with the same tasks and settings left in `work`, whenever it was
    killed, and then ends with the same weights as an unbroken run.

    Args:
        tasks: Source tasks, from `prepared`.
        work: Folder for drawn episodes and the checkpoint.
        config: Settings.
        workers: Processes that draw episodes; the result does not depend on it.
        progress: Called with (done, total, what).

    Raises:
        DataError: If there is nothing to learn from.
        ModelError: If `work` holds the checkpoint of another training.
    """
    config = config or MetaConfig()
    pool = drawn_once(tasks, lambda: build_pool(tasks, config.pool, work / "pool", workers, progress))
    return train_on(pool, tasks, config, work / "checkpoint.safetensors", progress=progress)


def train_on(
    pool: Pool,
    tasks: Sequence[PreparedTask],
    config: MetaConfig,
    checkpoint: Path | None = None,
    usable: npt.NDArray[np.bool_] | None = None,
    progress: Progress | None = None,
) -> ExpertGate:
    """Meta-train on a pool that is there already; see `meta_train`.

    Args:
        pool: Episodes drawn from `tasks`.
        tasks: The tasks of the pool.
        config: Settings.
        checkpoint: File to go on from and to write to.
        usable: Tasks that may be learned from, shape (tasks,); all by default.
        progress: Called with (done, total, what).

    Raises:
        DataError: If there is nothing to learn from.
        ModelError: If `checkpoint` is that of another training.
    """
    odds = episode_odds(pool, list(tasks), config.train, config.pool, usable)
    network = new_network(config.network, pool.queries.take(np.flatnonzero(odds[pool.episode] > 0)), config.train.seed)
    network.to(crew().device)
    members = config.network.members
    about = _digest(pool, odds, config)
    if config.algorithm == "episodic":
        run_outer_loop(
            network,
            episodic_loss(network, pool, odds, config.train),
            config.train,
            members,
            checkpoint,
            progress,
            about,
        )
        return ExpertGate(config.network, InnerLoop(), network)
    learner = wrap(network, config.algorithm, config.inner)
    loss = inner_loss(network, learner, pool, odds, config.train, config.inner)
    run_outer_loop(learner, loss, config.train, members, checkpoint, progress, about)
    network.cpu()
    inner, rates = trained_inner(network, learner, config.algorithm, config.inner)
    return ExpertGate(config.network, inner, network, rates)


def _digest(pool: Pool, odds: npt.NDArray[np.float64], config: MetaConfig) -> str:
    """Tells trainings on other data, or by another algorithm, apart."""
    settings = [config.algorithm, asdict(config.network), asdict(config.inner)]
    digest = hashlib.sha256(json.dumps(settings).encode())
    for array in (odds, pool.episode, pool.queries.y):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
