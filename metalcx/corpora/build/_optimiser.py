"""Optimisers of many runs at once: one row of parameters a run, each with its own rule and constants."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

#: Optimisers that divide by the root of a second moment.
ADAPTIVE = ("adam", "adamw", "rmsprop")
SCHEDULES = ("constant", "cosine", "step", "warmup-cosine", "exponential")

EPSILON = 1e-8


class StackedOptimiser:
    """Steps of R runs with P parameters each; each row moves as torch's optimiser of that name would move it.

    Args:
        configs: One a run: ``optimiser`` (``sgd`` with heavy-ball momentum, ``nesterov``, ``adam``, ``adamw``, whose
            decay is apart from the gradient, or ``rmsprop``), ``weight_decay``, and as they apply ``momentum`` and
            ``clip``.
        n_params: P.
    """

    def __init__(self, configs: Sequence[Mapping[str, Any]], n_params: int) -> None:
        rule = [str(c["optimiser"]) for c in configs]
        momentum = _column([c.get("momentum", 0.0) for c in configs])
        decay = _column([c["weight_decay"] for c in configs])
        self._clip = _column([c.get("clip", math.inf) for c in configs])
        self._nesterov = _mask(rule, "nesterov")
        self._adaptive = _mask(rule, *ADAPTIVE)
        self._corrected = _mask(rule, "adam", "adamw")
        self._decoupled = torch.where(_mask(rule, "adamw"), decay, 0.0)
        self._coupled = decay - self._decoupled
        # First moment: Adam averages with 0.9; SGD sums with its momentum; RMSprop keeps none.
        self._beta1 = torch.where(self._corrected, 0.9, torch.where(_mask(rule, "rmsprop"), 0.0, momentum))
        self._share = torch.where(self._corrected, 0.1, 1.0)
        self._beta2 = torch.where(_mask(rule, "rmsprop"), 0.99, 0.999)
        self._clips = any("clip" in c for c in configs)
        self._first = torch.zeros(len(configs), n_params)
        self._second = torch.zeros(len(configs), n_params) if {*ADAPTIVE} & {*rule} else None
        self._steps = 0

    def step(self, parameters: Tensor, gradient: Tensor, rate: Tensor) -> Tensor:
        """Parameters after one step; all (R, P), `rate` (R, 1)."""
        self._steps += 1
        if self._clips:
            size = gradient.norm(dim=1, keepdim=True)
            gradient = gradient * (self._clip / (size + 1e-6)).clamp(max=1.0)
        gradient = gradient + self._coupled * parameters
        self._first = self._beta1 * self._first + self._share * gradient
        update = torch.where(self._nesterov, gradient + self._beta1 * self._first, self._first)
        if self._second is not None:
            self._second = self._beta2 * self._second + (1 - self._beta2) * gradient * gradient
            update = torch.where(self._adaptive, self._adapted(), update)
        return parameters * (1 - rate * self._decoupled) - rate * update

    def _adapted(self) -> Tensor:
        assert self._second is not None
        one = torch.ones(())
        first = torch.where(self._corrected, 1 - self._beta1**self._steps, one)
        second = torch.where(self._corrected, 1 - self._beta2**self._steps, one)
        return (self._first / first) / ((self._second / second).sqrt() + EPSILON)


def _column(values: Sequence[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)[:, None]


def _mask(rule: Sequence[str], *names: str) -> Tensor:
    return torch.tensor([r in names for r in rule])[:, None]


def learning_rates(configs: Sequence[Mapping[str, Any]], epochs: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Learning rate of each run in epochs 1 to `epochs`, shape (R, epochs)."""
    done = np.arange(epochs) / epochs
    factor = {
        "constant": np.ones(epochs),
        "cosine": 0.5 * (1 + np.cos(np.pi * done)),
        "step": 0.1 ** ((done >= 0.5).astype(float) + (done >= 0.75)),
        "warmup-cosine": np.minimum((np.arange(epochs) + 1) / max(1, epochs // 10), 1.0)
        * 0.5
        * (1 + np.cos(np.pi * done)),
        "exponential": 0.01**done,
    }
    return np.stack([c["learning_rate"] * factor[c["schedule"]] for c in configs]).astype(np.float32)
