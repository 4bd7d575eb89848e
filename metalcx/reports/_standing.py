"""How the runs of a task stand: what is forecast of each, their order, and what a stop policy says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from metalcx.curves import Curves
from metalcx.decide import Decision, Ranking, StopPolicy, rank
from metalcx.decide._known import compared_at, going, incumbent_at, known_of
from metalcx.errors import DataError
from metalcx.protocol import FloatArray, Forecast, Forecaster

#: Times between what was seen of a run and the time of comparison at which its fan is drawn.
STEPS = 12

#: Earlier moments of a running run at which it is judged.
MOMENTS = 6


@dataclass(frozen=True)
class Standing:
    """Runs compared at one time.

    Attributes:
        curves: All runs, each with a measured value or diverged; n of them.
        at: Time at which they are compared.
        fan: Forecasts at `STEPS` times of the running runs that have not come to `at`, the last of them `at`.
        decisions: What is advised about each running run.
        past: Probability of beating the incumbent as seen at earlier moments: run -> (t, probability) pairs.
        seed: Of the draws behind the ranking.
    """

    curves: Curves
    at: float
    fan: Forecast = field(repr=False)
    decisions: tuple[Decision, ...] = field(repr=False)
    past: dict[Any, list[tuple[float, float]]] = field(default_factory=dict, repr=False)
    seed: int = 0

    @cached_property
    def ranking(self) -> Ranking:
        """All runs, in the order of `curves`; what is over or at `at` is known."""
        return rank(compared_at(self.curves, self.at, self.fan), self.seed)

    @cached_property
    def prob_best(self) -> FloatArray:
        """Probability that each run is the best of all, shape (n,).

        As `Ranking.prob_best`, but drawn among those runs only of which no other is certainly better: of a thousand
        runs, most cannot be the best.
        """
        forecast = self.ranking.forecast
        oriented = self.curves.metric.sign * forecast.values[:, 0]
        contends = oriented.max(1) >= oriented.min(1).max()
        found = np.zeros(len(contends))
        found[contends] = rank(forecast.take(contends), self.seed).prob_best
        return found

    @property
    def incumbent(self) -> float | None:
        """The best value of a finished run at `at`; None if there is none."""
        return incumbent_at(self.curves, self.at)


def comparable(curves: Curves) -> Curves:
    """The runs that something is known of: with a measured value, or diverged.

    Raises:
        DataError: If there is none.
    """
    known = known_of(curves)
    if not len(known):
        raise DataError("no run has a measured value, so there is nothing to report; give curves with values")
    return known


def fan_of(model: Forecaster, running: Curves, at: float) -> Forecast:
    """Forecasts of running runs from their last point to `at`, at `STEPS` times."""
    last = running.padded().t_last if len(running) else np.empty(0)
    times = last[:, None] + (at - last)[:, None] * np.arange(1, STEPS + 1) / STEPS
    times[:, -1] = at
    return model.forecast(running, at=times if len(running) else np.zeros((0, STEPS)))


def stand(curves: Curves, model: Forecaster, policy: StopPolicy, at: float, seed: int = 0) -> Standing:
    """Forecast, rank and judge.

    Args:
        curves: Runs of one task; see `comparable`.
        model: Adapted to the task.
        policy: Judges running runs; its horizon is `at`.
        at: Time at which runs are compared.
        seed: Of the ranking's draws.
    """
    running = curves.take(going(curves, at))
    decisions = tuple(replace(policy, model=model, horizon=at, readapt=False).decide(curves))
    found = Standing(curves, at, fan_of(model, running, at), decisions, seed=seed)
    incumbent = next((d.incumbent for d in decisions if np.isfinite(d.incumbent)), found.incumbent)
    return replace(found, past=past_of(model, running, at, incumbent))


def past_of(
    model: Forecaster, running: Curves, at: float, incumbent: float | None
) -> dict[Any, list[tuple[float, float]]]:
    """P(beats the incumbent) as seen at up to `MOMENTS` earlier points of each run, and at its last one.

    By one model and against one incumbent, those of today: how the run's own points changed its prospects.
    """
    if incumbent is None or not len(running):
        return {}
    padded = running.padded()
    share = np.arange(1, MOMENTS + 2) / (MOMENTS + 1)
    place = np.clip(np.round(share * padded.length[:, None]).astype(np.int64) - 1, 0, None)
    t = np.take_along_axis(padded.t, place, axis=1)
    run, moment = np.nonzero(np.diff(place, axis=1, prepend=-1) > 0)
    prefixes = running.take(run).truncate(t[run, moment])
    ids: npt.NDArray[np.object_] = np.arange(len(run)).astype(object)
    prefixes = replace(prefixes, ids=ids, status=np.full(len(run), "running", dtype=object))
    chance: FloatArray = model.forecast(prefixes, at=at).prob_better(incumbent)
    past: dict[Any, list[tuple[float, float]]] = {name: [] for name in running.ids}
    for i, when, p in zip(run, t[run, moment], chance, strict=True):
        past[running.ids[i]].append((float(when), float(p)))
    return past


def past_from(decisions: Sequence[Decision]) -> dict[Any, list[tuple[float, float]]]:
    """The same from a log of decisions, in its order; moments at which nothing was asked are left out."""
    past: dict[Any, list[tuple[float, float]]] = {}
    for d in decisions:
        if np.isfinite(d.probability) and np.isfinite(d.t):
            past.setdefault(d.run, []).append((d.t, d.probability))
    return past
