"""Random metrics, tables and curves for property tests."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from metalcx.curves import Curves, Metric

LOSS = Metric("val_loss", "min", 0.0)
ACCURACY = Metric("accuracy", "max", 0.0, 1.0)
SCORE = Metric("score", "max")


def values(low: float = -1e6, high: float = 1e6) -> st.SearchStrategy[float]:
    """Ordinary finite numbers."""
    return st.floats(low, high, allow_nan=False, allow_subnormal=False)


@st.composite
def rows(draw: st.DrawFn, max_points: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Ascending times and values of one run."""
    n = draw(st.integers(1, max_points))
    t = draw(st.lists(st.integers(0, 1000), min_size=n, max_size=n, unique=True))
    y = draw(st.lists(values(), min_size=n, max_size=n))
    return np.sort(np.array(t, dtype=float)) / 8, np.array(y)


@st.composite
def ragged(draw: st.DrawFn, metric: Metric = SCORE, max_runs: int = 5) -> Curves:
    """Runs of different lengths on grids of their own; the last value of some is an infinity."""
    parts = draw(st.lists(rows(), min_size=1, max_size=max_runs))
    broken = draw(st.lists(st.booleans(), min_size=len(parts), max_size=len(parts)))
    end = max(t[-1] for t, _ in parts)
    for (_, y), b in zip(parts, broken, strict=True):
        y[-1] = np.inf if b else y[-1]
    status = [
        "diverged" if b else "completed" if t[-1] == end else "running" for (t, _), b in zip(parts, broken, strict=True)
    ]
    ids = draw(st.permutations([f"run {i}" for i in range(len(parts))]))
    return make(metric, parts, status, ids)


def make(
    metric: Metric,
    parts: list[tuple[np.ndarray, np.ndarray]],
    status: list[str] | None = None,
    ids: list[object] | None = None,
    **known: object,
) -> Curves:
    """Curves from (t, y) of each run."""
    return Curves(
        metric=metric,
        ids=np.array(ids if ids is not None else list(range(len(parts))), dtype=object),
        offsets=np.concatenate([[0], np.cumsum([len(t) for t, _ in parts])]).astype(np.int64),
        t=np.concatenate([*(np.asarray(t, dtype=float) for t, _ in parts), np.empty(0)]),
        values={metric.name: np.concatenate([*(np.asarray(y, dtype=float) for _, y in parts), np.empty(0)])},
        status=np.array(status or ["completed"] * len(parts), dtype=object),
        **known,  # type: ignore[arg-type]
    )
