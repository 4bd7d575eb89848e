"""What a replay saved and what it lost, of one order and over many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from metalcx.decide._prefixes import IntArray, Recording
from metalcx.errors import DataError

#: Runs that it is wrong to stop: so many of the truly best.
TOP = 5


@dataclass(frozen=True)
class Outcome:
    """What was saved and what was lost.

    Attributes:
        spent: Points.
        speed_up: Points that all runs cost over points spent.
        regret: By how much the best of all beats the best that was kept, in units of `Recording.spread`.
        keeps_best: Whether a run as good as the best of all was kept.
        wrong: Runs of the true top `TOP` that were not kept, best first.
    """

    spent: int
    speed_up: float
    regret: float
    keeps_best: bool
    wrong: tuple[int, ...]


def outcome(recording: Recording, kept: npt.ArrayLike, spent: int, found: float | None = None) -> Outcome:
    """What came of keeping these runs at this cost, however they were chosen.

    Args:
        recording: All runs.
        kept: Positions of those that came to their end.
        spent: Points.
        found: Oriented value of the best that is left; by default the best final of the kept.
    """
    final, rows = recording.final, np.asarray(kept, dtype=np.int64)
    best = float(final.max())
    left = float(final[rows].max(initial=-np.inf)) if found is None else found
    regret = 0.0 if left >= best else (best - left) / recording.spread
    top = np.argsort(-final, kind="stable")[:TOP]
    wrong = tuple(int(i) for i in top[~np.isin(top, rows)])
    return Outcome(spent, float(recording.length.sum()) / spent, regret, left >= best, wrong)


def orders_of(n: int, count: int, seed: int = 0) -> list[IntArray]:
    """Random orders of n runs; the first of many are those of few."""
    return [np.random.default_rng([seed, i]).permutation(n) for i in range(count)]


def summary(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Over orders: medians of speed-up and regret with the central 95 % of orders, and shares.

    Keys: ``orders, speed_up, speed_up_low, speed_up_high, spent, regret, regret_low, regret_high, keeps_best,
    wrong_stops`` (mean number of the true top `TOP`).

    Raises:
        DataError: If there is no outcome.
    """
    if not len(outcomes):
        raise DataError("there is no outcome to sum up; replay at least one order")
    found: dict[str, Any] = {"orders": len(outcomes)}
    for name in ("speed_up", "regret"):
        values = [getattr(o, name) for o in outcomes]
        low, middle, high = np.quantile(values, [0.025, 0.5, 0.975], method="inverted_cdf")
        found |= {name: float(middle), f"{name}_low": float(low), f"{name}_high": float(high)}
    found["spent"] = float(np.mean([o.spent for o in outcomes]))
    found["keeps_best"] = float(np.mean([o.keeps_best for o in outcomes]))
    found["wrong_stops"] = float(np.mean([len(o.wrong) for o in outcomes]))
    return found
