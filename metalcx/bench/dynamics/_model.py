"""What all models of dynamics are asked for, and how they are trained: one loop, one rule of when to stop."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from metalcx.bench.dynamics._fold import Batch, Fold

#: Standard deviation of a measured value around a curve, in units of the training curves.
NOISE = 0.1


class Model(nn.Module, ABC):
    """Goes on with curves of which the first points are seen; all in units of the training curves."""

    @abstractmethod
    def loss(self, batch: Batch, beta: float) -> Tensor:
        """What training makes small, a number; `beta` weighs the divergence of latent variables."""

    @abstractmethod
    def forecast(self, batch: Batch) -> Tensor:
        """Values behind the cut, shape (b, T - c), from what was seen of each run and its graph alone."""


@dataclass(frozen=True)
class Effort:
    """How much training is given to each model, the same for all.

    Args:
        steps: Steps of Adam at most.
        batch: Runs a step.
        rate: Learning rate, which falls along a cosine to a tenth.
        every: Steps between looks at the validation architectures.
        patience: Looks without a better one after which training ends, not before all of the divergence counts.
        anneal: Steps in which the weight of the divergence rises from 0 to 1.
        curves: Curves of its prior that the LC-PFN is trained on.
    """

    steps: int = 1000
    batch: int = 128
    rate: float = 3e-3
    every: int = 20
    patience: int = 12
    anneal: int = 100
    curves: int = 64_000


@dataclass(frozen=True)
class Trained:
    """A model as it was best on the validation architectures.

    Attributes:
        model: The model.
        valid: Its root mean squared error there, in units of the training curves.
        step: When that was.
        seconds: Of processor time that training took.
    """

    model: Model
    valid: float
    step: int
    seconds: float


def train(build: Callable[[Fold], Model], fold: Fold, effort: Effort, seed: int) -> Trained:
    """Train on the training architectures and keep what is best on the validation architectures.

    Args:
        build: Makes the model.
        fold: The split; its test runs are not read.
        effort: How much.
        seed: Of weights, draws and order.
    """
    started = time.process_time()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build(fold)
        optimiser = torch.optim.Adam(model.parameters(), lr=effort.rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, effort.steps, effort.rate / 10)
        known, held = fold.batch(fold.train), fold.batch(fold.valid)
        best, kept, when = np.inf, deepcopy(model.state_dict()), 0
        order = torch.randperm(0)
        for step in range(1, effort.steps + 1):
            if len(order) < min(effort.batch, len(known.arch)):
                order = torch.cat([order, torch.randperm(len(known.arch))])
            rows, order = order[: effort.batch], order[effort.batch :]
            optimiser.zero_grad()
            model.loss(Batch(*(part[rows] for part in known)), min(1.0, step / effort.anneal)).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 10.0)
            optimiser.step()
            schedule.step()
            if step % effort.every and step < effort.steps:
                continue
            error = _error(model, held)
            if error < best:
                best, kept, when = error, deepcopy(model.state_dict()), step
            elif step - max(when, effort.anneal) >= effort.patience * effort.every:
                break
    model.load_state_dict(kept)
    return Trained(model.eval(), best, when, time.process_time() - started)


def _error(model: Model, batch: Batch) -> float:
    model.eval()
    with torch.no_grad():
        error = float((model.forecast(batch) - batch.future).square().mean().sqrt())
    model.train()
    return error


def divergence(mean: Tensor, log_std: Tensor, other: Tensor | float = 0.0, log_other: Tensor | float = 0.0) -> Tensor:
    """KL(N(mean, std) || N(other, std other)), summed over the last dimension."""
    log_other = torch.as_tensor(log_other, dtype=mean.dtype)
    ratio = (2 * (log_std - log_other)).exp()
    apart = (mean - other).square() * (-2 * log_other).exp()
    return 0.5 * (ratio + apart - 1 - 2 * (log_std - log_other)).sum(-1)


def squared(told: Tensor, true: Tensor) -> Tensor:
    """Negative log likelihood of each value but for a constant."""
    return 0.5 * ((told - true) / NOISE).square()
