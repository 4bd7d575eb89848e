"""The outer loop: steps over batches of a pool, checkpointed, so that a killed training ends with the same weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from metalcx._checkpoint import Checkpoint, other_training, save_checkpoint
from metalcx._parallel import crew
from metalcx._schedule import warmed_and_annealed
from metalcx.errors import DataError, ModelError
from metalcx.forecasters._gate_items import Items
from metalcx.forecasters._gate_network import GateConfig, GateNetwork, gate_loss
from metalcx.transfer._pieces import Progress
from metalcx.transfer._pool import NONE, Pool, PoolConfig
from metalcx.transfer._tasks import PreparedTask

#: Standard deviation added to each feature's own, so that one that hardly varies in training cannot explode later.
STD_FLOOR = 0.1


@dataclass(frozen=True)
class TrainConfig:
    """Settings of the outer loop.

    Args:
        steps: Outer steps.
        batch: Items in one step (episodes in one step of gradient-based meta-training: a 64th).
        rate: Peak learning rate of AdamW, reached after a tenth of the steps and annealed to 0.
        weight_decay: Of AdamW.
        temper: A family's weight grows with its number of tasks to the power of 1 less this.
        small_weight: Weight of a task with fewer runs than a large one (`PoolConfig.large`).
        mixed: Share of the batch from mixtures of two tasks.
        synthetic: Share of the batch from made-up tasks.
        checkpoint_every: Steps between checkpoints.
        seed: Of weights, batches and dropout.

    Raises:
        DataError: If mixtures and made-up tasks leave nothing to measured ones.
    """

    steps: int = 6000
    batch: int = 512
    rate: float = 2e-3
    weight_decay: float = 1e-4
    temper: float = 0.5
    small_weight: float = 0.3
    mixed: float = 0.3
    synthetic: float = 0.2
    checkpoint_every: int = 500
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.mixed, self.synthetic) < 0 or self.mixed + self.synthetic >= 1:
            raise DataError(
                f"mixed and synthetic are shares that add up to less than 1; got {self.mixed}, {self.synthetic}"
            )


#: Loss of one outer step, given the step's number; of several processes, this one's part of it.
StepLoss = Callable[[int], Tensor]


class Episodes(Protocol):
    """A pool of episodes, whatever it keeps of them."""

    @property
    def task(self) -> npt.NDArray[np.int64]:
        """The tasks from which each episode was made, `NONE` where fewer than two, shape (episodes, 2)."""
        ...


def episode_odds(
    pool: Episodes,
    tasks: list[PreparedTask],
    config: TrainConfig,
    drawn: PoolConfig,
    usable: npt.NDArray[np.bool_] | None = None,
) -> npt.NDArray[np.float64]:
    """Probability of each episode, shape (episodes,): families tempered, small tasks down, mixtures by their share.

    Args:
        pool: The pool, drawn from `tasks`.
        tasks: Its tasks.
        config: Weights and shares.
        drawn: How the pool was drawn: which tasks count as large, and what each corpus weighs.
        usable: Which tasks may be learned from, shape (tasks,); all by default. An episode of which any part is
            not usable has probability 0.

    Raises:
        DataError: If nothing is left to learn from.
    """
    usable = np.ones(len(tasks), dtype=bool) if usable is None else usable
    family = np.array([t.family for t in tasks])
    kin = np.array([(family[usable] == f).sum() for f in family])
    weight = np.where(usable, drawn.weights(tasks), 0.0)
    weight *= np.where([len(t) >= drawn.large for t in tasks], 1.0, config.small_weight)
    weight = weight / np.maximum(kin, 1.0) ** config.temper
    first, second = pool.task.T
    # The appended entry is what `NONE` reads: no task, nothing to hold out.
    may = np.append(usable, True)[first] & np.append(usable, True)[second]
    single = (first != NONE) & (second == NONE)
    count = np.bincount(first[single], minlength=len(tasks))
    odds = np.where(single & may, np.append(weight / np.maximum(count, 1), 0.0)[first], 0.0)
    if not odds.sum() > 0:
        raise DataError("no source task is left to learn from; give another corpus or hold out less")
    parts = [(odds, 1.0), ((second != NONE) & may, config.mixed), (first == NONE, config.synthetic)]
    shares = [share if part.sum() > 0 else 0.0 for part, share in parts[1:]]
    total = (1.0 - sum(shares)) * odds / odds.sum()
    for (part, _), share in zip(parts[1:], shares, strict=True):
        total = total + share * part / max(part.sum(), 1)
    return np.asarray(total / total.sum())


def episodic_loss(network: GateNetwork, pool: Pool, odds: npt.NDArray[np.float64], config: TrainConfig) -> StepLoss:
    """Plain episodic training: the queries of many episodes in one batch."""
    cumulative = cumulative_odds(pool.episode, odds)
    columns = as_tensors(pool.queries)

    def loss(step: int) -> Tensor:
        rows, share = crew().part(drawn_rows(cumulative, config, step))
        x, offsets, y, weight = (c[torch.from_numpy(rows)].to(crew().device) for c in columns)
        return share * gate_loss(network(x, offsets), y, weight)

    return loss


def cumulative_odds(episode: npt.NDArray[np.int64], odds: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Running sum of each row's probability, that of its episode shared among the episode's rows; shape (rows,)."""
    count = np.bincount(episode, minlength=len(odds))
    row = np.where(count > 0, odds / np.maximum(count, 1), 0.0)[episode]
    return np.cumsum(row / row.sum())


def drawn_rows(cumulative: npt.NDArray[np.float64], config: TrainConfig, step: int) -> npt.NDArray[np.int64]:
    """What one step learns from, by its number alone; shape (batch,)."""
    drawn = np.random.default_rng([config.seed, 2, step]).random(config.batch)
    return np.minimum(np.searchsorted(cumulative, drawn), len(cumulative) - 1)


def as_tensors(data: Items) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """x, offsets, y, weight."""
    return tuple(torch.from_numpy(np.asarray(c)) for c in (data.x, data.offsets, data.y, data.weight))  # type: ignore[return-value]


def new_network(size: GateConfig, data: Items, seed: int) -> GateNetwork:
    """A fresh network that standardises features as they are in `data`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = GateNetwork(size)
    some = np.random.default_rng([seed, 3]).integers(0, len(data), min(len(data), 100_000))
    network.mean.copy_(torch.from_numpy(data.x[some].mean(0)))
    network.std.copy_(torch.from_numpy(data.x[some].std(0) + STD_FLOOR))
    return network


def run_outer_loop(
    module: nn.Module,
    loss: StepLoss,
    config: TrainConfig,
    members: int,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
    about: str = "",
) -> None:
    """Train `module` in place, alone or with other processes, each of which has its part of a step (`joined`).

    Each step's randomness comes from its number alone, so that going on from a checkpoint gives the same weights.
    Dropout in several processes is that in one where a step draws it once, as plain episodes do, and not in an inner
    loop, which draws it for each episode.

    Args:
        module: What to train; all its parameters.
        loss: Loss of a step.
        config: Steps and optimiser.
        members: Independent networks in `module`, of each of which the loss is the mean.
        checkpoint: A file to go on from if it is there, and to write to; None for none.
        progress: Called with (done, total, loss).
        about: What else tells this training from others, such as a digest of its data; kept in the checkpoint.

    Raises:
        ModelError: If the checkpoint belongs to another training or is damaged, or the loss stops being a number.
    """
    module.to(crew().device)
    parameters = [p for p in module.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=config.rate, weight_decay=config.weight_decay)
    start = _restore(checkpoint, module, optimiser, config, about) if checkpoint is not None else 0
    module.train()
    with torch.random.fork_rng(devices=[]):
        for step in range(start, config.steps):
            torch.manual_seed(hash((config.seed, step)) % 2**31)
            for group in optimiser.param_groups:
                group["lr"] = config.rate * warmed_and_annealed(step / config.steps)
            optimiser.zero_grad()
            value = loss(step) * members
            value.backward()
            total = value.detach()
            crew().add([total, *(p.grad for p in parameters if p.grad is not None)])
            if not torch.isfinite(total):
                raise ModelError(f"the loss of meta-training is {float(total)} at step {step}; lower the rate")
            nn.utils.clip_grad_norm_(parameters, members**0.5)
            optimiser.step()
            done = step + 1
            if (
                checkpoint is not None
                and crew().first
                and (done % config.checkpoint_every == 0 or done == config.steps)
            ):
                _save(checkpoint, done, module, optimiser, config, about)
            if progress is not None:
                progress(done, config.steps, f"meta-training, loss {float(total) / members:.4f}")
    module.cpu().eval()


def _save(
    path: Path, step: int, module: nn.Module, optimiser: torch.optim.Optimizer, config: TrainConfig, about: str
) -> None:
    save_checkpoint(path, module, optimiser, {"step": str(step), "config": _text(config), "about": about})


def _restore(path: Path, module: nn.Module, optimiser: torch.optim.Optimizer, config: TrainConfig, about: str) -> int:
    """Steps that a checkpoint has behind it."""
    known = Checkpoint.read(path)
    if known is None:
        return 0
    # A checkpoint of an earlier version says nothing about its data.
    if known.about.get("config") != _text(config) or known.about.get("about", about) != about:
        raise other_training(path)
    known.put_into(module, optimiser)
    return int(known.about["step"])


def _text(config: TrainConfig) -> str:
    return json.dumps(asdict(config), sort_keys=True)
