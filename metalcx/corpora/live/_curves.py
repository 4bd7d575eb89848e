"""Runs that go on -> curves."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from metalcx.corpora.live._run import LiveRun
from metalcx.curves import Curves, Metric


def live_curves(
    runs: Mapping[str, LiveRun],
    metric: Metric,
    *,
    horizon: float | None = None,
    idle: float | None = None,
    time_unit: str | None = None,
) -> tuple[Curves, list[str]]:
    """The curves as they stand, and what had to be left out, in words.

    A run whose values turned NaN or infinite is diverged, one that reached the horizon is completed; what its source
    says of a run counts before the horizon. Any other is running, or censored if no point came for `idle` seconds.

    Args:
        runs: By name.
        metric: What they measure.
        horizon: t at which a run is complete; None leaves that to the source.
        idle: Seconds without a point after which a run counts as ended; never by default.
        time_unit: What t counts.
    """
    import pandas as pd

    kept: list[tuple[str, LiveRun, Any]] = []
    notes, now = [], time.time()
    for name, run in runs.items():
        settled = run.settled()
        t, y = settled[:2]
        outside = metric.outside(y)
        if not len(t):
            continue
        if outside.any():
            i = int(outside.argmax())
            notes.append(f"{name}: {y[i]:g} at {t[i]:g} leaves the bounds of {metric.name!r}; declare wider ones")
            continue
        kept.append((name, run, settled))
    status = [_status(run, t, diverged, horizon, idle, now) for _, run, (t, _, diverged) in kept]
    ids, states = np.empty(len(kept), dtype=object), np.empty(len(kept), dtype=object)
    ids[:], states[:] = [name for name, _, _ in kept], status
    configs = [run.config for _, run, _ in kept]
    empty = np.empty(0)
    curves = Curves(
        metric=metric,
        ids=ids,
        offsets=np.cumsum([0, *(len(t) for _, _, (t, _, _) in kept)]).astype(np.int64),
        t=np.concatenate([empty, *(t for _, _, (t, _, _) in kept)]),
        values={metric.name: np.concatenate([empty, *(y for _, _, (_, y, _) in kept)])},
        status=states,
        config=pd.DataFrame(configs, dtype=object) if any(configs) else None,
        time_unit=time_unit,
    )
    return curves, notes


def _status(run: LiveRun, t: Any, diverged: bool, horizon: float | None, idle: float | None, now: float) -> str:
    if diverged:
        return "diverged"
    if run.status is not None:
        return run.status
    if horizon is not None and t[-1] >= horizon:
        return "completed"
    return "censored" if idle is not None and now - run.touched > idle else "running"
