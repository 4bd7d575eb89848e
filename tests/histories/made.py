"""Small classifiers, and histories that need no training."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from metalcx.curves import Curves, Metric
from metalcx.histories import FixedSample, History, TraitTable
from metalcx.histories._inputs import N_INPUTS, Lessons
from metalcx.histories._traits import SKILLS, TRAITS


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


def made_lessons(tasks: int = 6, n: int = 40, seed: int = 0, shift: float = 0.3) -> Lessons:
    """Peaks that follow a smooth function of two inputs, with an offset of each task's own; a family a task."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(tasks * n, N_INPUTS))
    x[:, 2] = np.log(rng.choice([0.05, 0.1, 0.2], tasks * n))
    task = np.repeat(np.arange(tasks), n)
    z = x[:, 0] + 0.8 * np.tanh(1.5 * x[:, 5]) + shift * rng.normal(size=tasks)[task] + 0.2 * rng.normal(size=tasks * n)
    names = np.array([f"t{i}" for i in task], dtype=object)
    return Lessons(x, z, names, names)


def made_runs(n: int = 16, seed: int = 0, prefix: str = "r", points: int = 21) -> tuple[Curves, TraitTable]:
    """Accuracies that rise to a peak of their own, and traits of two times that tell it with noise."""
    rng = np.random.default_rng(seed)
    peak, rate = rng.uniform(0.3, 0.95, n), rng.uniform(0.05, 0.6, n)
    t = np.arange(points, dtype=np.float64)
    y = 0.1 + (peak[:, None] - 0.1) * (1 - np.exp(-rate[:, None] * t)) + 0.01 * rng.normal(size=(n, points))
    ids = np.array([f"{prefix}{i}" for i in range(n)], dtype=object)
    curves = Curves(
        Metric("val_accuracy", "max", 0.0, 1.0), ids, np.arange(n + 1) * points, np.tile(t, n),
        {"val_accuracy": np.clip(y, 0, 1).ravel()}, np.full(n, "completed", dtype=object),
    )  # fmt: skip
    rows = {}
    for i, run in enumerate(ids):
        at = []
        for when in (2, 4):
            values = dict.fromkeys(TRAITS, 0.0)
            values |= dict.fromkeys(SKILLS, (y[i, when] - 0.1) / 0.9)
            values |= {name: (peak[i] - 0.1) / 0.9 + 0.03 * rng.normal() for name in ("probe", "concat", "consensus")}
            at.append([{**values, "chance": 0.1}[name] for name in TRAITS])
        rows[run] = np.array([2.0, 4.0]), np.array(at)
    return curves, TraitTable(rows)
