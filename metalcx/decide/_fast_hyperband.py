"""f-Hyperband: Hyperband that stops a run on its way to a rung once it will hardly be promoted there."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from metalcx.curves import Curves
from metalcx.decide._halving import Rung, brackets, run_brackets, whole
from metalcx.decide._record import Ledger, SearchRecord
from metalcx.decide._score import LastValue, Score, grown
from metalcx.decide._trials import IntArray, Trials, as_order
from metalcx.decide._watch import MakeForecaster, Watch, as_ended, check_delta, train_watched
from metalcx.protocol import FloatArray, Forecaster


def f_hyperband(
    trials: Trials,
    R: float,
    make: MakeForecaster,
    *,
    eta: float = 3,
    delta: float = 0.95,
    kappa: float | None = None,
    ready: int = 100,
    growth: float = 0.2,
    earlier: Curves | None = None,
    passes: int | None = None,
    score: Score | None = None,
    order: npt.ArrayLike | None = None,
    seed: int | None = None,
) -> SearchRecord:
    """Hyperband with early stopping between the rungs.

    Source: Baker et al. 2018 (arXiv:1705.10823), f-Hyperband. One model for each rung learns from the runs that have
    reached it, once there are `ready` of them, what a curve seen so far becomes at the rung (with an SRM: one regressor
    for each observed length). The promotion line is the value of the last run that would be promoted among those that
    have reached the rung in this bracket; on the last rung, where nobody is promoted, one in `eta` counts alike.

    Where the paper is silent: a run is looked at after every unit of resource, a model is adapted again once its runs
    have grown by the share `growth`, and runs of all brackets that passed a rung count as having reached it.

    Args:
        trials: What is trained; R units of resource are its horizon.
        R: The most units of resource a run gets.
        make: Makes the forecaster of one rung.
        eta: One in `eta` is promoted.
        delta: A run is stopped where P(below the line) is at least this; above .995 never.
        kappa: The least share of a rung's runs that reach it; by default one in `eta`, which are to be promoted.
        ready: Runs that have to reach a rung before its model is made.
        growth: A model is adapted again once its runs have grown by this share.
        earlier: Complete runs of the same task from earlier searches, which count as having reached every rung.
        passes: How often all brackets are run; None until every run was started.
        score: By what runs are promoted; by default their last value.
        order: Positions of the runs in the order in which they are started; by default as they stand.
        seed: Draws an order.

    Raises:
        ValueError: If an argument is out of range.
        DataError: If the order is none.
    """
    check_delta(delta)
    kappa = 1 / eta if kappa is None else kappa
    if not 1 / eta - 1e-9 <= kappa <= 1:
        raise ValueError(f"kappa is a share between 1 / eta = {1 / eta:.3g}, who are promoted, and 1; got {kappa}")
    if ready < 1 or not growth >= 0:
        raise ValueError(f"ready is at least 1 and growth at least 0; got {ready} and {growth}")
    plan = brackets(R, eta)
    levels = [resource for _, resource in plan[0].rungs]
    train = _Watched(make, delta, kappa, ready, growth, earlier, {level: _Reached() for level in levels})
    ledger = Ledger(trials)
    run_brackets(ledger, as_order(trials, order, seed), plan, passes, score or LastValue(), train)
    return ledger.record()


@dataclass
class _Reached:
    """Who has reached a rung, over all brackets, and what was learned from them.

    Attributes:
        rows: Runs, in the order of reaching it.
        model: Adapted to the first `learned` of them; None before there are enough.
        learned: How many it knows.
    """

    rows: list[int] = field(default_factory=list)
    model: Forecaster | None = None
    learned: int = 0


@dataclass
class _Watched:
    """Trains the runs of a rung one after another, watching each; see `f_hyperband` for the arguments."""

    make: MakeForecaster
    delta: float
    kappa: float
    ready: int
    growth: float
    earlier: Curves | None
    reached: dict[float, _Reached]

    def __call__(self, ledger: Ledger, rows: IntArray, rung: Rung) -> IntArray:
        """The runs that reached the rung, in their order."""
        may_stop = len(rows) - math.ceil(self.kappa * len(rows) - 1e-9)
        there: list[int] = []
        values: list[float] = []
        for i, row in enumerate(map(int, rows)):
            stopped = i - len(there)
            watch = self._watch(ledger, rung, values) if stopped < may_stop else None
            outcome = train_watched(ledger, row, _times(rung), watch)
            if outcome.reached:
                there.append(row)
                values.append(outcome.value)
                self._note(rung, row)
        return np.array(there, dtype=np.int64)

    def _watch(self, ledger: Ledger, rung: Rung, values: list[float]) -> Watch | None:
        """What has to be reached; None while the first are on their way, or there is nothing to learn from."""
        if len(values) < rung.promoted:
            return None
        line = sorted(values, reverse=True)[rung.promoted - 1]
        model = self._model(ledger, rung)
        if model is None or not np.isfinite(line):
            return None
        where = f"number {rung.promoted} at the rung"
        return Watch(model, rung.t, ledger.trials.metric.sign * line, self.delta, where)

    def _model(self, ledger: Ledger, rung: Rung) -> Forecaster | None:
        reached = self.reached[rung.stop]
        known = 0 if self.earlier is None else len(self.earlier)
        count = len(reached.rows) + known
        if count < self.ready:
            return None
        wanted = max(grown(count, self.ready, self.growth), known)
        if reached.learned != wanted:
            rows = np.array(reached.rows[: wanted - known], dtype=np.int64)
            own = ledger.trials.seen(rows)
            runs = own if self.earlier is None else Curves.concat([self.earlier, own])
            reached.model = self.make().adapt(as_ended(runs.truncate(rung.t)))
            reached.learned = wanted
        return reached.model

    def _note(self, rung: Rung, row: int) -> None:
        """A run has passed all rungs from the one below, where it was, up to this one."""
        for level, reached in self.reached.items():
            if rung.start < level <= rung.stop:
                reached.rows.append(row)


def _times(rung: Rung) -> FloatArray:
    """Times of whole units on the way to a rung, and that of the rung."""
    units = np.arange(whole(rung.start) + 1, math.ceil(rung.stop - 1e-9))
    return np.append(units * rung.unit, rung.t)
