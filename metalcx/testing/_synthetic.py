"""Learning curves made of a power law and noise: enough to try a forecaster's rules, not its skill."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from metalcx.curves import Curves, Metric

if TYPE_CHECKING:
    import pandas as pd

ACCURACY = Metric("accuracy", "max", 0.0, 1.0)
LOSS = Metric("loss", "min", 0.0)

FloatArray = npt.NDArray[np.float64]


def synthetic_curves(
    n: int, points: int = 20, *, metric: Metric = ACCURACY, seed: int = 0, prefix: str = "run", irregular: bool = False
) -> Curves:
    """`n` completed curves that rise (``max``) or fall (``min``) as a power law, with hyperparameters.

    Args:
        n: Number of runs, named ``prefix0``, ``prefix1``, ...
        points: Points of each run.
        metric: What they measure: values lie between 0 and 1 for ``max``, above 0 for ``min``.
        seed: Curves differ by it.
        prefix: Of the run ids.
        irregular: Times with random gaps, of its own for each run, instead of 1, 2, ..., `points`.
    """
    rng = np.random.default_rng(seed)
    gaps = rng.uniform(0.1, 1.9, (n, points)) if irregular else np.ones((n, points))
    t = np.cumsum(gaps, axis=1)
    y = power_laws(rng, t)
    y = y if metric.goal == "max" else 3.0 * (1.0 - y)
    config = hyperparameters(rng, n)
    return of_rows([f"{prefix}{i}" for i in range(n)], list(t), list(y), metric, config=config)


def power_laws(rng: np.random.Generator, t: FloatArray) -> FloatArray:
    """Rising values between 0.02 and 0.98 at times `t`, shape (n, points)."""
    n = len(t)
    top, start, rate = (rng.uniform(low, high, (n, 1)) for low, high in ((0.6, 0.95), (0.05, 0.3), (0.4, 1.5)))
    noise = rng.normal(0.0, 0.004, t.shape)
    return np.clip(top - (top - start) * (t / t[:, :1]) ** -rate + noise, 0.02, 0.98)


def hyperparameters(rng: np.random.Generator, n: int) -> pd.DataFrame:
    """Two numbers and a word for each of `n` runs."""
    import pandas as pd

    return pd.DataFrame(
        {
            "lr": 10.0 ** rng.uniform(-4, -1, n),
            "depth": rng.integers(1, 9, n),
            "optimizer": rng.choice(["adam", "sgd"], n).astype(object),
        }
    )


def of_rows(
    ids: list[object],
    t: list[FloatArray],
    y: list[FloatArray],
    metric: Metric,
    status: str = "completed",
    config: pd.DataFrame | None = None,
) -> Curves:
    """Curves from one array of times and one of values a run."""
    return Curves(
        metric=metric,
        ids=np.array(ids, dtype=object),
        offsets=np.concatenate([[0], np.cumsum([len(row) for row in t])]).astype(np.int64),
        t=np.concatenate([*t, np.empty(0)]),
        values={metric.name: np.concatenate([*y, np.empty(0)])},
        status=np.full(len(ids), status, dtype=object),
        config=config,
    )


def with_y(curves: Curves, y: FloatArray) -> Curves:
    """`curves` with other values of the primary metric, shape (points,)."""
    return replace(curves, values={**curves.values, curves.metric.name: y})


def diverge(curves: Curves, after: list[int | None]) -> Curves:
    """Run i diverges right after its first ``after[i]`` points; None leaves it as it is."""
    step = np.arange(len(curves.t)) - curves.offsets[curves.owner]
    last = np.array([np.inf if k is None else float(k) for k in after])[curves.owner]
    broken = with_y(curves, np.where(step == last, np.inf, curves.y))
    cut = np.array([np.inf if k is None else curves.t[o + k] for k, o in zip(after, curves.offsets, strict=False)])
    status = np.where(np.isfinite(cut), "diverged", curves.status).astype(object)
    return replace(broken.truncate(cut), status=status)
