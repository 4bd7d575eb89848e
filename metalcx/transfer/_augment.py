"""More tasks than were measured: real ones mixed, and synthetic ones drawn from a broad prior.

What limits transfer is the number of source datasets, not of curves; both help a network not to learn them by heart.
"""

from __future__ import annotations

import numpy as np

from metalcx.curves import PaddedCurves
from metalcx.curves._batch import FloatArray

SYNTHETIC_RUNS = 60


def padded(y: FloatArray) -> PaddedCurves:
    """Complete curves on the grid 1..L, shape (n, L)."""
    n, length = y.shape
    t = np.broadcast_to(np.arange(1.0, length + 1), y.shape)
    return PaddedCurves(t, y, np.full(n, length, dtype=np.int64), np.zeros(n, dtype=bool))


def normalised(curves: PaddedCurves) -> PaddedCurves:
    """Values with the median start at 0 and the best at 1, none below -3."""
    init = float(np.median(curves.first))
    unit = float(curves.y.max()) - init
    return curves.with_values(np.maximum((curves.y - init) / (unit if unit > 0 else 1.0), -3.0))


def mixed(a: PaddedCurves, b: PaddedCurves, rng: np.random.Generator) -> PaddedCurves:
    """A task between two tasks: convex mixtures of random pairs of their runs, by progress.

    Learning-curve mixup after Lee et al. (2025, arXiv:2510.21379): one mixing weight a task.
    """
    n, share = min(len(a), len(b), 80), rng.uniform(0.2, 0.8)
    length = int(np.exp(rng.uniform(np.log(12), np.log(120))))
    progress = np.linspace(0.0, 1.0, length)

    def on_grid(curves: PaddedCurves) -> FloatArray:
        runs = normalised(curves.take(rng.permutation(len(curves))[:n]))
        return runs.at(runs.t[:, :1] + progress * (runs.t_last - runs.t[:, 0])[:, None])

    return padded(share * on_grid(a) + (1.0 - share) * on_grid(b))


def synthetic(rng: np.random.Generator, n: int = SYNTHETIC_RUNS) -> PaddedCurves:
    """A task of `n` made-up runs: parametric curves whose parameters a random network draws from hidden settings.

    Runs of one task share grid, noise, schedule jumps and how settings act, as runs of one dataset do; some never
    learn, diverge or overfit. The families are those of Domhan et al. (2015); the random network from settings to
    parameters follows the freeze-thaw prior of Rakotoarison et al. (2024, arXiv:2404.16795).
    """
    length = int(np.exp(rng.uniform(np.log(12), np.log(150))))
    t = np.arange(1.0, length + 1)[None]
    p = _parameters(rng, n, 8)

    def within(j: int, low: float, high: float) -> FloatArray:
        return low + (high - low) * p[:, j : j + 1]

    spread = rng.uniform(0.05, 1.0)
    asymptote = 1.0 - spread * within(0, 0.0, 1.0)
    amplitude = within(1, 0.2, 1.0)
    tau = length * 10.0 ** within(2, -2.5, 0.3)
    power = (1.0 + t / tau) ** -within(3, 0.2, 2.0)
    decay = np.exp(-((t / (tau * 10.0 ** within(4, 0.0, 1.0))) ** within(5, 0.6, 1.5)))
    share = within(6, 0.0, 1.0)
    gap = share * power + (1.0 - share) * decay
    gap = gap * _schedule(rng, t, n)
    y = asymptote - amplitude * gap
    y -= (
        rng.choice([0.0, 1.0], p=[0.7, 0.3]) * within(7, 0.0, 0.5) * np.maximum(t / length - rng.uniform(0.1, 0.6), 0.0)
    )
    y = _failures(rng, y, asymptote - amplitude)
    level = 10.0 ** rng.uniform(-4.0, -1.3)
    noise = rng.normal(size=y.shape) * level * np.exp(rng.normal(0, 0.5, (n, 1)))
    return padded(np.maximum(y + noise * (0.3 + 0.7 * gap), -3.0))


def _parameters(rng: np.random.Generator, n: int, size: int) -> FloatArray:
    """Numbers in (0, 1) that depend smoothly on hidden settings of each run, shape (n, size)."""
    settings = rng.normal(size=(n, int(rng.integers(1, 5))))
    hidden = np.tanh(settings @ rng.normal(size=(settings.shape[1], 16)) * rng.uniform(0.3, 1.5) + rng.normal(size=16))
    out = hidden @ rng.normal(size=(16, size)) / 4.0 * rng.uniform(0.3, 3.0) + rng.normal(0, 1.0, size)
    out += rng.normal(size=(n, size)) * rng.uniform(0.0, 0.5)
    return np.asarray(1.0 / (1.0 + np.exp(-2.0 * out)))


def _schedule(rng: np.random.Generator, t: FloatArray, n: int) -> FloatArray:
    """Factor on the gap: now and then the learning rate drops at moments that all runs share, or anneals."""
    kind = rng.random()
    if kind < 0.2:
        drops = rng.uniform(0.2, 0.9, int(rng.integers(1, 4))) * t.shape[1]
        size = rng.uniform(0.3, 0.95, (n, 1))
        return np.asarray(size ** (t[..., None] > drops).sum(-1))
    if kind < 0.4:
        return np.asarray(1.0 - rng.uniform(0.1, 0.9, (n, 1)) * (t / t.shape[1]) ** rng.uniform(1.0, 4.0))
    return np.ones((n, t.shape[1]))


def _failures(rng: np.random.Generator, y: FloatArray, start: FloatArray) -> FloatArray:
    """Some runs never leave their start, some leave it late, some fall back for good."""
    n, length = y.shape
    often = rng.choice([0.0, 0.05, 0.3], p=[0.4, 0.4, 0.2])
    kind = rng.random((n, 1))
    moment = rng.uniform(0, 1, (n, 1)) * length
    t = np.arange(1.0, length + 1)[None]
    late = np.floor(np.maximum(t - moment, 0)).astype(np.int64)
    waiting = np.where(t > moment, np.take_along_axis(y, np.minimum(late, length - 1), 1), start)
    y = np.where(kind < often, start, y)
    y = np.where((kind >= often) & (kind < 1.5 * often), waiting, y)
    fallen = (kind >= 1.5 * often) & (kind < 2.0 * often) & (t > moment)
    return np.where(fallen, np.minimum(start, -rng.uniform(0.0, 3.0)), y)
