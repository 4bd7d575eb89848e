"""What a stop policy would have saved on the runs that are finished."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from metalcx.curves import Curves
from metalcx.decide import (
    PolicyRule,
    PrefixForecasts,
    Recording,
    Replay,
    StopPolicy,
    doublings,
    orders_of,
    simulate,
    summary,
)

#: Thresholds that are compared beside the one asked for.
THRESHOLDS = (0.01, 0.05, 0.1)

#: Runs that are replayed at most: with each, forecasts of all its beginnings are made many times.
MOST_RUNS = 120

#: How often a run is asked about at most.
ASKS = 16


@dataclass(frozen=True)
class Saved:
    """Replays of the finished runs in several orders, by thresholds.

    Attributes:
        thresholds: q of them, ascending.
        chosen: Position of the one asked for.
        replays: For each threshold, one an order.
        finished: Finished runs there are, of which at most `MOST_RUNS` are replayed.
    """

    thresholds: tuple[float, ...]
    chosen: int
    replays: tuple[tuple[Replay, ...], ...] = field(repr=False)
    finished: int

    @property
    def first(self) -> Replay:
        """The first order, at the threshold asked for."""
        return self.replays[self.chosen][0]

    def rows(self) -> list[dict[str, Any]]:
        """One a threshold: ``threshold`` and the keys of `metalcx.decide.summary`."""
        told = zip(self.thresholds, self.replays, strict=True)
        return [{"threshold": q} | summary([r.outcome for r in found]) for q, found in told]


def replay_finished(
    curves: Curves,
    policy: StopPolicy,
    *,
    thresholds: Sequence[float] = THRESHOLDS,
    orders: int = 5,
    most_runs: int = MOST_RUNS,
    seed: int = 0,
) -> Saved | None:
    """Replay the finished runs as `metalcx.decide.replay` does, once for each threshold, with forecasts shared.

    Args:
        curves: Runs of one task; running ones are left out.
        policy: What to follow; its model is a base, adapted anew to the runs that finish in the replay.
        thresholds: Compared beside that of the policy.
        orders: How many random orders.
        most_runs: Runs at most; of more, so many are drawn.
        seed: Of orders, of the draw and of adaptation.

    Returns:
        None if there are too few runs for any to be stopped.
    """
    finished = curves.finished()
    finished = finished.take(finished.padded().length > 0)
    count = len(finished)
    if count < policy.startup + 2 or not (finished.status == "completed").any():
        return None
    if count > most_runs:
        drawn = np.random.default_rng([seed, 2]).permutation(count)[:most_runs]
        finished = finished.take(np.sort(drawn))
    recording = Recording.of(finished, ASKS)
    levels = tuple(sorted({*thresholds, policy.threshold}))
    forecasts = PrefixForecasts(policy.model, recording, policy.horizon, policy.patience, seed)
    stages = doublings(policy.startup, len(recording))
    rules = [PolicyRule(replace(policy, threshold=q), forecasts, stages) for q in levels]
    # Orders outside, so that thresholds that finish the same runs first share their forecasts.
    by_order = [[simulate(recording, rule, o) for rule in rules] for o in orders_of(len(recording), orders, seed)]
    return Saved(levels, levels.index(policy.threshold), tuple(zip(*by_order, strict=True)), count)
