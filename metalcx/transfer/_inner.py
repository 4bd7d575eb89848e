"""Meta-training through the inner loop, by learn2learn: the weights are trained so that a few steps on a support help.

MAML (Finn et al. 2017, algorithm 1), Meta-SGD (Li et al. 2017, algorithm 1: a learned rate for each weight) and
ANIL (Raghu et al. 2020, section 4: only the head adapts). The inner loss is that of the support's own runs, each
held out from the others; the outer loss is that of the queries after the inner steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from metalcx._parallel import crew
from metalcx.errors import DataError
from metalcx.forecasters._few_shot import InnerLoop
from metalcx.forecasters._gate_network import GateNetwork, gate_loss
from metalcx.transfer._inner_vmap import adapted_losses, padded, rates_of
from metalcx.transfer._learn2learn import learn2learn
from metalcx.transfer._pool import Pool
from metalcx.transfer._train import StepLoss, TrainConfig, as_tensors

ALGORITHMS = ("episodic", "maml", "metasgd", "anil")

Columns = tuple[Tensor, Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class InnerConfig:
    """Settings of the inner loop in meta-training.

    Args:
        rate: Learning rate of the inner steps; where Meta-SGD's learned rates start.
        steps: Inner steps.
        episodes: Episodes in one outer step.
        engine: ``vmap`` takes the inner steps of all episodes at once, ``learn2learn`` one episode after another; but
            for dropout, both give the same.

    Raises:
        DataError: If there is no such engine.
    """

    rate: float = 0.02
    steps: int = 3
    episodes: int = 8
    engine: Literal["vmap", "learn2learn"] = "vmap"

    def __post_init__(self) -> None:
        if self.engine not in ("vmap", "learn2learn"):
            raise DataError(f"no engine {self.engine!r:.40}; it is vmap or learn2learn")


def wrap(network: GateNetwork, algorithm: str, config: InnerConfig) -> nn.Module:
    """The learn2learn learner around `network`: what the outer loop trains.

    Raises:
        DataError: If there is no such algorithm.
    """
    l2l = learn2learn()
    if algorithm == "maml":
        return _module(l2l.MAML(network, lr=config.rate))
    if algorithm == "metasgd":
        return _module(l2l.MetaSGD(network, lr=config.rate))
    if algorithm == "anil":
        return nn.ModuleList([network.body, _module(l2l.MAML(network.head, lr=config.rate))])
    raise DataError(
        f"no inner loop is called {algorithm!r}; there is maml, metasgd and anil (and episodic, without one)"
    )


def _module(learner: Any) -> nn.Module:
    module: nn.Module = learner
    return module


def inner_loss(
    network: GateNetwork,
    learner: nn.Module,
    pool: Pool,
    odds: npt.NDArray[np.float64],
    config: TrainConfig,
    inner: InnerConfig,
) -> StepLoss:
    """Loss of the queries of some episodes, each after inner steps on its support."""
    if pool.support is None or pool.support_episode is None:
        raise DataError("gradient-based meta-training needs a pool with support items (PoolConfig.with_support)")
    queries, supports = as_tensors(pool.queries), as_tensors(pool.support)
    rows = rows_of(pool.episode, len(odds)), rows_of(pool.support_episode, len(odds))
    able = np.where((np.diff(rows[0]) > 0) & (np.diff(rows[1]) > 0), odds, 0.0)
    cumulative = np.cumsum(able / able.sum())

    def loss(step: int) -> Tensor:
        drawn = np.random.default_rng([config.seed, 4, step]).random(inner.episodes)
        episodes, share = crew().part(np.minimum(np.searchsorted(cumulative, drawn), len(odds) - 1))
        parts = (supports, rows[1]), (queries, rows[0])
        each = _at_once if inner.engine == "vmap" else _one_by_one
        return share * each(network, learner, parts, episodes, inner).mean()

    return loss


#: Columns of all rows, and where episodes begin.
Part = tuple[Columns, npt.NDArray[np.int64]]


def _at_once(
    network: GateNetwork,
    learner: nn.Module,
    parts: tuple[Part, Part],
    episodes: npt.NDArray[np.int64],
    inner: InnerConfig,
) -> Tensor:
    support, query = (padded(columns, edges, episodes, crew().device) for columns, edges in parts)
    return adapted_losses(network, rates_of(network, learner, inner.rate), support, query, inner.steps)


def _one_by_one(
    network: GateNetwork,
    learner: nn.Module,
    parts: tuple[Part, Part],
    episodes: npt.NDArray[np.int64],
    inner: InnerConfig,
) -> Tensor:
    losses = []
    for e in episodes:
        support, query = (tuple(c[edge[e] : edge[e + 1]].to(crew().device) for c in columns) for columns, edge in parts)
        losses.append(_adapted_loss(network, learner, support, query, inner.steps))
    return torch.stack(losses)


def rows_of(episode: npt.NDArray[np.int64], n: int) -> npt.NDArray[np.int64]:
    """Rows of episode e are ``result[e]:result[e + 1]``; rows come in the order of their episodes."""
    return np.searchsorted(episode, np.arange(n + 1)).astype(np.int64)


def _adapted_loss(network: GateNetwork, learner: nn.Module, support: Any, query: Any, steps: int) -> Tensor:
    members = network.config.members
    if isinstance(learner, nn.ModuleList):
        # ANIL: the body is shared, and seen through by the outer gradient; the head is cloned and adapts.
        inner: Any = learner[1]
        head = inner.clone()

        def run(columns: Columns) -> Tensor:
            x, offsets, y, weight = columns
            return gate_loss(network.decode(head(network.embed(x)), offsets), y, weight)

        adapt = head.adapt
    else:
        clone = learner.clone()  # type: ignore[operator]

        def run(columns: Columns) -> Tensor:
            x, offsets, y, weight = columns
            return gate_loss(clone(x, offsets), y, weight)

        adapt = clone.adapt
    for _ in range(steps):
        # Each member is a network of its own: the mean loss is undone, so that the rate means the same for any number.
        adapt(run(support) * members)
    return run(query)


def trained_inner(
    network: GateNetwork, learner: nn.Module, algorithm: str, config: InnerConfig
) -> tuple[InnerLoop, dict[str, Tensor] | None]:
    """How a model that was trained so adapts: plain gradient steps at the trained rate, and Meta-SGD's rates."""
    layers: Literal["all", "head"] = "head" if algorithm == "anil" else "all"
    inner = InnerLoop(config.rate, "sgd", layers, (0, 1, config.steps, 3 * config.steps), min_support=5)
    if algorithm != "metasgd":
        return inner, None
    lrs: Any = learner.lrs
    return inner, {name: lr.detach().clone() for (name, _), lr in zip(network.named_parameters(), lrs, strict=True)}
