"""Recorded runs for tests of searches: one row of values a run, at times 1, 2, ..."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from strategies import SCORE, make

from metalcx.curves import Curves, Metric
from metalcx.decide import SearchRecord


def whole(record: SearchRecord) -> str:
    """All that a record holds, as text: its decisions and timeline hold NaN, which is not equal to itself."""
    return repr(vars(record))


def table(rows: Sequence[Sequence[float]], metric: Metric = SCORE, ids: list[object] | None = None) -> Curves:
    """Runs with these values; one that ends in an infinity diverged there."""
    parts = [(np.arange(1.0, len(y) + 1), np.array(y, dtype=float)) for y in rows]
    status = ["completed" if np.isfinite(y[-1]) else "diverged" for _, y in parts]
    return make(metric, parts, status, ids if ids is not None else [f"r{i}" for i in range(len(parts))])


def flat(finals: Sequence[float], points: int = 9, metric: Metric = SCORE) -> Curves:
    """Runs that stand at their final value from the start."""
    return table([[f] * points for f in finals], metric)


def noisy(n: int, points: int, seed: int = 0, metric: Metric = SCORE) -> Curves:
    """Runs that rise to finals of their own, with noise that hides their order at first."""
    rng = np.random.default_rng(seed)
    t = np.arange(1.0, points + 1)
    top, rate = rng.uniform(0.5, 0.9, n), rng.uniform(0.3, 1.5, n)
    y = top[:, None] - 0.5 * t ** -rate[:, None] + 0.03 * rng.normal(size=(n, points))
    return table(metric.sign * y, metric)
