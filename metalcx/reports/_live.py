"""How the runs of a task stand, again and again while they go on; only what changed is computed anew."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from metalcx import __version__
from metalcx.curves import Curves
from metalcx.decide import MOST_SUPPORT_LIVE, StopPolicy, support_of
from metalcx.decide._known import going, known_of
from metalcx.decide._support import fingerprint, usual_end
from metalcx.protocol import LEVELS, FloatArray, Forecast, Forecaster
from metalcx.reports import _facts
from metalcx.reports._origin import Origin
from metalcx.reports._standing import STEPS, Standing, fan_of

#: Earlier probabilities of a run that are kept.
MOST_PAST = 40


@dataclass
class LiveTask:
    """Forecasts, order and advice that follow curves as they grow.

    Args:
        model: A name of `metalcx.hub.list_models`, a folder, or a forecaster that is not adapted yet. A base is adapted
            to the finished runs, whenever there is another one; a folder that holds an adapted model is used as it is.
        threshold: It is advised to stop a run below this probability of beating the best finished one.
        startup: Nothing is advised before so many runs have finished.
        horizon: Time at which runs are compared; by default the median of the complete runs' last times, or
            of those that were cut short where none is complete.
        most_support: Finished runs to adapt to, at most.
        seed: Of adaptation and of the ranking's draws.

    Attributes:
        origin: What was adapted from which base, and to how many runs by now.

    Raises:
        ValueError: If an argument is out of range.
    """

    model: str | Path | Forecaster
    threshold: float = 0.05
    startup: int = 5
    horizon: float | None = None
    most_support: int = MOST_SUPPORT_LIVE
    seed: int = 0
    origin: Origin = field(init=False, repr=False)
    _base: Forecaster = field(init=False, repr=False)
    _adapted: Forecaster = field(init=False, repr=False)
    _about: str = field(default="", init=False, repr=False)
    _made: dict[Any, tuple[Any, FloatArray, FloatArray, FloatArray]] = field(
        default_factory=dict, init=False, repr=False
    )
    _past: dict[Any, list[tuple[float, float]]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        self.origin, self._adapted, self._base = Origin.open(self.model)
        # Says early what is wrong with an argument.
        self._policy = StopPolicy(self._base, threshold=self.threshold, startup=self.startup)

    def stand(self, curves: Curves) -> Standing | None:
        """How these runs stand; None as long as nothing is measured, or nothing says when runs are compared."""
        known = known_of(curves)
        at = usual_end(known) if self.horizon is None else self.horizon
        if not len(known) or np.isnan(at):
            return None
        self._adapt(known)
        running = known.take(going(known, at))
        fan = self._fan(running, at)
        policy = replace(self._policy, model=self._adapted, horizon=at)
        decisions = tuple(policy.decide(known))
        return Standing(known, at, fan, decisions, self._follow(decisions, known), self.seed)

    def _adapt(self, curves: Curves) -> None:
        if self.origin.base is not None:
            return
        support = support_of(curves.finished(), self.most_support)
        about = fingerprint(support)
        if about != self._about:
            self._adapted = self._base.adapt(support, seed=self.seed)
            self._about, self.origin = about, self.origin.adapted_to(support)
            self._made.clear()

    def _fan(self, running: Curves, at: float) -> Forecast:
        """Forecasts of running runs, of which those without a new point are kept."""
        ends = zip(running.length.tolist(), running.t_last.tolist(), running.final.tolist(), strict=True)
        keys = [(*end, at) for end in ends]
        fresh = [i for i, run in enumerate(running.ids) if self._made.get(run, (None,))[0] != keys[i]]
        made = fan_of(self._adapted, running.take(np.array(fresh, dtype=np.int64)), at)
        kept = {run: self._made[run] for run in running.ids if run in self._made}
        kept |= {running.ids[i]: (keys[i], made.t[j], made.values[j], made.point[j]) for j, i in enumerate(fresh)}
        self._made = kept
        rows = [kept[run] for run in running.ids]
        shape = (len(rows), STEPS)
        return Forecast(
            running.metric,
            running.ids,
            np.array([row[1] for row in rows]).reshape(shape),
            np.array([row[2] for row in rows]).reshape(*shape, len(LEVELS)),
            np.array([row[3] for row in rows]).reshape(shape),
        )

    def _follow(self, decisions: tuple[Any, ...], curves: Curves) -> dict[Any, list[tuple[float, float]]]:
        """What was said of each run at its earlier points, at most `MOST_PAST` times."""
        for d in decisions:
            trail = self._past.setdefault(d.run, [])
            if not np.isfinite(d.probability):
                continue
            if trail and trail[-1][0] >= d.t:
                # Judged anew at the same point, or written anew from an earlier one.
                trail[:] = [pair for pair in trail if pair[0] < d.t]
            trail.append((d.t, d.probability))
            if len(trail) > MOST_PAST:
                del trail[1:-1:2]
        there = set(curves.ids)
        self._past = {run: trail for run, trail in self._past.items() if run in there}
        return {run: list(trail) for run, trail in self._past.items()}


class Bulletin:
    """What the live page is told, by version: the state of all runs, and the curves that changed since a version.

    Args:
        title: What the page is called.
        source: Where the logs are, in words.
        every: Seconds between two questions of a page.
    """

    def __init__(self, title: str, source: str, every: float) -> None:
        self.title, self.source, self.every = title, source, every
        #: Another one whenever versions begin anew.
        self.epoch = secrets.token_hex(8)
        self.version = 0
        self._state: dict[str, Any] = {}
        self._curves: dict[str, tuple[int, dict[str, Any]]] = {}

    def publish(self, standing: Standing | None, task: LiveTask, made: str, notes: list[str]) -> None:
        """Make known how the runs stand now."""
        version = self.version + 1
        curves: Mapping[str, dict[str, Any]] = {}
        state: dict[str, Any] = {"runs": [], "head": None}
        if standing is not None:
            state["runs"] = _facts.run_facts(standing)
            state["head"] = _facts.head_facts(standing.curves, standing.at, standing.incumbent, task.threshold)
            curves = _facts.curve_facts(standing.curves, standing.fan, standing.past)
        old = self._curves
        changed = {run: run not in old or old[run][1] != facts for run, facts in curves.items()}
        kept = {run: (version, facts) if changed[run] else old[run] for run, facts in curves.items()}
        state |= {"origin": task.origin.to_dict(), "version": version, "made": made, "notes": notes[:20]}
        # Replaced, never changed: those who answer read without a lock.
        self._state, self._curves, self.version = state, kept, version

    def tell(self, notes: list[str]) -> None:
        """Say something beside what is known."""
        self._state = self._state | {"notes": notes}

    def since(self, epoch: str, version: int) -> dict[str, Any]:
        """What a page that knows a version of an epoch is told, as JSON values."""
        state, curves = self._state, self._curves
        if not state or epoch != self.epoch or version > state["version"]:
            version = 0
        about = {"title": self.title, "source": self.source, "every": self.every, "epoch": self.epoch}
        about["metalcx"] = __version__
        if version and version == state["version"]:
            return about | {"version": version, "same": True, "notes": state["notes"], "made": state["made"]}
        news = {run: facts for run, (when, facts) in curves.items() if when > version}
        return about | state | {"curves": news}
