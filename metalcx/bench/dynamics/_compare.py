"""One row of the table over another: paired over test runs, those of an architecture drawn together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from metalcx.curves._batch import FloatArray

DRAWS = 10_000


@dataclass(frozen=True, slots=True)
class Over:
    """1 - error a / error b over all forecast points, with a 95 % interval; positive where a is better.

    Attributes:
        value: What was measured.
        low: Lower end.
        high: Upper end.
    """

    value: float
    low: float
    high: float


def over(a: pd.DataFrame, b: pd.DataFrame, metric: str, seed: int = 0) -> Over:
    """Compare two rows on the same test runs of a task.

    Args:
        a: Scored runs, columns seed, run, group and those of `_score.scored`.
        b: Of the other, the same runs.
        metric: ``mape`` or ``rmse``, over all points behind the cut.
        seed: Of the bootstrap.
    """
    column = "mape1" if metric == "mape" else "mse1"
    both = a.merge(b, on=["seed", "run", "group"], suffixes=("", "_b"))
    sums = both.groupby("group")[[column, f"{column}_b"]].sum().to_numpy(np.float64)
    rng = np.random.default_rng(seed)
    # Test runs of one architecture are no independent evidence, and a run may be in the test of several splits.
    drawn = rng.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), DRAWS) @ sums
    shares = _less(drawn, metric)
    low, high = np.quantile(shares, [0.025, 0.975])
    return Over(float(_less(sums.sum(0)[None], metric)[0]), float(low), float(high))


def _less(sums: FloatArray, metric: str) -> FloatArray:
    ratio = sums[:, 0] / np.maximum(sums[:, 1], 1e-300)
    return np.asarray(1.0 - (ratio if metric == "mape" else np.sqrt(ratio)))
