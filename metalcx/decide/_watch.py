"""Train a run point by point, and stop it once it will hardly get where it is wanted."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from metalcx.curves import Curves
from metalcx.decide._record import Ledger
from metalcx.decide._trials import oriented_last
from metalcx.protocol import LEVELS, FloatArray, Forecaster

#: Makes a forecaster that knows no run yet.
MakeForecaster = Callable[[], Forecaster]


class Outcome(NamedTuple):
    """How watched training ended.

    Attributes:
        reached: Whether the run got there or ended by itself; else it was stopped.
        value: Its last value then, or what was expected of it when it was stopped; oriented.
    """

    reached: bool
    value: float


@dataclass(frozen=True)
class Watch:
    """Stops a run as soon as P(its value at `at` is below `line`) is at least `delta`.

    Source: Baker et al. 2018 (arXiv:1705.10823), the stop rule of section 5. A forecast keeps quantiles up to .995: no
    probability above that can be told from it, so that none with a larger `delta` is ever reached.

    Args:
        model: The forecaster, adapted to runs that got there.
        at: Time at which the run is wanted.
        line: Value that it has to reach, in the metric's unit.
        delta: How sure one has to be that it does not.
        where: What the line is called in reasons.
    """

    model: Forecaster
    at: float
    line: float
    delta: float
    where: str

    def stops(self, ledger: Ledger, run: Curves) -> float | None:
        """What is expected of the run if it is stopped, oriented; None if it goes on."""
        forecast = self.model.forecast(run, at=self.at)
        reaches = max(float(forecast.prob_better(self.line)[0]), 1.0 - float(LEVELS[-1]))
        if 1.0 - reaches < self.delta:
            return None
        sign = ">" if run.metric.goal == "max" else "<"
        told = f"P({run.metric.name} at {self.at:g} {sign} {self.line:.6g}, {self.where}) = {reaches:.3g}"
        reason = f"stopped: {told}, at most {1 - self.delta:.3g}"
        ledger.decide(run.ids[0], run.t_last[0], True, reason, reaches, 1 - self.delta, self.line, self.at)
        return float(run.metric.sign * forecast.mean[0])


def train_watched(ledger: Ledger, row: int, times: FloatArray, watch: Watch | None) -> Outcome:
    """Train a run to the last of `times`; a `watch` looks at it after each of the others.

    Without a watch it is trained in one go.
    """
    rows = np.array([row])
    for t in times[:-1] if watch is not None else ():
        run = ledger.train(rows, float(t))
        if run.status[0] != "running":
            return Outcome(True, float(oriented_last(run)[0]))
        measured = bool(np.isfinite(run.y).any())
        expected = watch.stops(ledger, run) if watch is not None and measured else None
        if expected is not None:
            return Outcome(False, expected)
    return Outcome(True, float(oriented_last(ledger.train(rows, float(times[-1])))[0]))


def as_ended(curves: Curves) -> Curves:
    """Curves as a forecaster's support: what is still running counts as complete where it stands."""
    return replace(curves, status=np.where(curves.status == "running", "completed", curves.status).astype(object))


def check_delta(delta: float) -> None:
    """Refuse what is no probability.

    Raises:
        ValueError: If `delta` is not above 0 and at most 1.
    """
    if not 0 < delta <= 1 or math.isnan(delta):
        raise ValueError(f"delta is a probability above 0 and at most 1; got {delta}")
