"""Small classifiers, and histories that need no training."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from metalcx.histories import FixedSample, History


def toy_rows(n: int = 240, classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Overlapping clusters in six dimensions."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, n)
    return (1.2 * rng.normal(size=(classes, 6))[y] + rng.normal(size=(n, 6))).astype(np.float32), y.astype(np.int64)


def toy_sample(n: int = 240, n_train: int = 120) -> FixedSample:
    x, y = toy_rows(n)
    return FixedSample(torch.from_numpy(x), torch.from_numpy(y), n_train)


def toy_net(width: int = 12, classes: int = 3, seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(6, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(0.5), nn.Linear(width, classes)
    )


def made_history(k: int = 3, n: int = 400, n_train: int = 200, d: int = 8, classes: int = 3, seed: int = 0) -> History:
    """Features in which classes part more and more from checkpoint to checkpoint."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, n)
    place, noise = rng.normal(size=(classes, d))[y], rng.normal(size=(k, n, d))
    features = (np.linspace(0.4, 0.8, k)[:, None, None] * place + noise).astype(np.float16)
    outputs = (features @ rng.normal(size=(d, classes))).astype(np.float16)
    return History(np.arange(1.0, k + 1), features, outputs, y, n_train)
