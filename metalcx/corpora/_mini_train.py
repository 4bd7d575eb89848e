"""One run of the mini corpus: a configuration, a seed, and the curve that really came out."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from metalcx.corpora._mini_data import Split
from metalcx.corpora._mini_nets import Architecture, GraphNet, build

#: What every epoch measures, in the order of a curve's columns.
MEASURED = ("val_accuracy", "val_r2", "val_loss", "train_loss", "seconds")

Float32Array = npt.NDArray[np.float32]
Config = Mapping[str, Any]


@dataclass(frozen=True)
class Trained:
    """A finished run.

    Attributes:
        status: ``completed``, ``diverged`` or ``censored`` (stopped early).
        t: Epochs, from 0 (before training), shape (points,).
        values: One column for each of `MEASURED`, shape (points, 5); NaN where it does not apply. A diverged run ends
            in a row of inf.
    """

    status: str
    t: npt.NDArray[np.float64]
    values: Float32Array


def learning_rate(config: Config, epoch: int) -> float:
    """The rate during `epoch` (from 1): constant, a half-cosine to zero, or a tenth at 50 % and again at 75 %."""
    base, done = float(config["learning_rate"]), (epoch - 1) / int(config["epochs"])
    if config["schedule"] == "cosine":
        return base * 0.5 * (1 + math.cos(math.pi * done))
    if config["schedule"] == "step":
        return base * 0.1 ** ((done >= 0.5) + (done >= 0.75))
    return base


def train(architecture: Architecture, config: Config, split: Split, seed: int) -> Trained:
    """Train one network; the caller's random state and number of threads are left as they were."""
    with _alone():
        return _train(build(architecture, seed), config, split, seed)


def _train(net: GraphNet, config: Config, split: Split, seed: int) -> Trained:
    data = _tensors(split)
    optimiser = _optimiser(net, config)
    objective = _objective(config, split)
    shuffle = torch.Generator().manual_seed(seed)
    start = time.thread_time()
    rows = [_measured(net, split, data, _mean_loss(net, objective, data))]
    seconds = [time.thread_time() - start]
    applies = ~np.isnan(rows[0])
    status, best, best_epoch = "completed", math.inf, 0
    for epoch in range(1, int(config["epochs"]) + 1):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(config, epoch)
        loss = _epoch(net, optimiser, objective, data, int(config["batch_size"]), shuffle)
        row = _measured(net, split, data, loss)
        seconds.append(time.thread_time() - start)
        # Any one lost value condemns the row: the accuracy of NaN outputs is finite, and looks like chance.
        if not np.isfinite(row[applies]).all():
            rows.append(np.where(applies, np.inf, np.nan).astype(np.float32))
            status = "diverged"
            break
        rows.append(row)
        if row[2] < best:
            best, best_epoch = float(row[2]), epoch
        if config.get("patience") and epoch - best_epoch >= config["patience"] and epoch < config["epochs"]:
            status = "censored"
            break
    table = np.column_stack([np.stack(rows), np.asarray(seconds, np.float32)])
    return Trained(status, np.arange(len(rows), dtype=np.float64), table)


def _tensors(split: Split) -> dict[str, Tensor]:
    kind = torch.int64 if split.n_classes else torch.float32
    x = {name: torch.tensor(getattr(split, name), dtype=torch.float32) for name in ("x_train", "x_val")}
    return x | {name: torch.tensor(getattr(split, name), dtype=kind) for name in ("y_train", "y_val")}


def _optimiser(net: nn.Module, config: Config) -> torch.optim.Optimizer:
    decay, rate = config["weight_decay"], config["learning_rate"]
    if config["optimiser"] == "adam":
        return torch.optim.Adam(net.parameters(), rate, weight_decay=decay, fused=True)
    return torch.optim.SGD(net.parameters(), rate, momentum=config["momentum"], weight_decay=decay, fused=True)


def _objective(config: Config, split: Split) -> Callable[[Tensor, Tensor], Tensor]:
    if not split.n_classes:
        return lambda out, y: nn.functional.mse_loss(out[:, 0], y)
    smoothing = float(config["label_smoothing"])
    return lambda out, y: nn.functional.cross_entropy(out, y, label_smoothing=smoothing)


def _epoch(
    net: nn.Module,
    optimiser: torch.optim.Optimizer,
    objective: Callable[[Tensor, Tensor], Tensor],
    data: Mapping[str, Tensor],
    batch_size: int,
    shuffle: torch.Generator,
) -> float:
    """One pass over the training data, a last partial batch dropped; the mean of the objective over its batches."""
    net.train()
    order = torch.randperm(len(data["x_train"]), generator=shuffle)
    whole = len(order) // batch_size * batch_size or len(order)
    losses = []
    for rows in order[:whole].split(batch_size):
        loss = objective(net(data["x_train"][rows]), data["y_train"][rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.detach())
    return float(torch.stack(losses).mean())


@torch.no_grad()
def _mean_loss(net: nn.Module, objective: Callable[[Tensor, Tensor], Tensor], data: Mapping[str, Tensor]) -> float:
    net.eval()
    return float(objective(net(data["x_train"]), data["y_train"]))


@torch.no_grad()
def _measured(net: nn.Module, split: Split, data: Mapping[str, Tensor], train_loss: float) -> Float32Array:
    """A row of `MEASURED` without the seconds; the validation loss is plain, without label smoothing."""
    net.eval()
    out, y = net(data["x_val"]), data["y_val"]
    if split.n_classes:
        right = (out.argmax(1) == y).float().mean()
        row = [float(right), math.nan, float(nn.functional.cross_entropy(out, y)), train_loss]
    else:
        loss = nn.functional.mse_loss(out[:, 0], y)
        row = [math.nan, float(1 - loss / y.var(correction=0)), float(loss), train_loss]
    return np.asarray(row, np.float32)


@contextmanager
def _alone() -> Iterator[None]:
    """One thread, so that `time.thread_time` sees all the work, and a random state of its own."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.set_num_threads(threads)
