"""What a search did: points spent, decisions with reasons, and what it found when."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from metalcx.curves import Curves, Metric
from metalcx.decide._decision import Decision
from metalcx.decide._score import Score
from metalcx.decide._trials import IntArray, Trials, oriented_last
from metalcx.protocol import FloatArray


class Step(NamedTuple):
    """One stretch of training, in the order in which they ended.

    Attributes:
        clock: When it ended: in points, trained one after another or side by side by several workers.
        spent: Points spent until then, by all runs.
        run: Id of the run.
        t: Time up to which it was trained.
        finished: Whether the run ended there.
        best: Best final value of the runs completed until then; NaN while there is none.
    """

    clock: float
    spent: int
    run: Any
    t: float
    finished: bool
    best: float


@dataclass(frozen=True)
class SearchRecord:
    """What a search did.

    Attributes:
        metric: What was measured.
        spent: Points spent by all runs.
        clock: When the last of them ended, in points; less than `spent` if several workers trained.
        started: Ids of the runs that were started, in that order.
        kept: Ids of the runs that were trained to their end and did not diverge, in the order of ending.
        best: Id of the best of those; where there is none, of the run with the best last value; None if all diverged.
        value: Its last value; NaN if there is none.
        decisions: Who went on and who did not, and why.
        timeline: Every stretch of training.
    """

    metric: Metric
    spent: int
    clock: float
    started: tuple[Any, ...]
    kept: tuple[Any, ...]
    best: Any
    value: float
    decisions: tuple[Decision, ...] = field(repr=False)
    timeline: tuple[Step, ...] = field(repr=False)

    def spent_until(self, runs: Iterable[Any]) -> float:
        """Points spent until the first of `runs` had been trained to its end; infinite if none was."""
        wanted = set(runs)
        return next((float(s.spent) for s in self.timeline if s.finished and s.run in wanted), math.inf)


class Ledger:
    """Trains for a search, and keeps what `SearchRecord` tells.

    Args:
        trials: What is trained.
    """

    def __init__(self, trials: Trials) -> None:
        self.trials = trials
        self._started: dict[int, None] = {}
        self._finished: dict[int, float] = {}
        self._over: Curves | None = None
        self._steps: list[Step] = []
        self._decisions: list[Decision] = []
        self._spent = 0
        self._best = -np.inf

    def train(self, rows: IntArray, t: float) -> Curves:
        """Train runs to `t`, one after another; what is then seen of them."""
        return self.note(rows, self.trials.advance(rows, t))

    def note(self, rows: IntArray, points: IntArray, clock: float | None = None) -> Curves:
        """Runs have taken so many points, at a `clock` that is the points spent unless given; what is seen of them."""
        seen = self.trials.seen(rows)
        over, last, t = seen.status != "running", oriented_last(seen), seen.t_last
        for i, row in enumerate(map(int, rows)):
            self._started.setdefault(row)
            if over[i] and row not in self._finished:
                self._finished[row] = float(last[i])
                self._best = max(self._best, float(last[i]))
            self._spent += int(points[i])
            now = float(self._spent) if clock is None else clock
            self._steps.append(Step(now, self._spent, seen.ids[i], float(t[i]), bool(over[i]), self.best))
        return seen

    @property
    def n_finished(self) -> int:
        """How many runs have ended."""
        return len(self._finished)

    @property
    def best(self) -> float:
        """Best final value so far, in the metric's unit; NaN while no run has been completed."""
        return self.trials.metric.sign * self._best if np.isfinite(self._best) else math.nan

    def finished(self) -> Curves:
        """The runs that have ended, in the order of ending."""
        if self._over is None or len(self._over) < self.n_finished:
            self._over = self.trials.seen(np.array(list(self._finished), dtype=np.int64))
        return self._over

    def scores(self, score: Score, runs: Curves) -> FloatArray:
        """What `score` says of runs, knowing those that have ended."""
        return score(runs, self.finished() if score.learns else runs.take([]), self.trials.horizon)

    def judge(self, seen: Curves, going: bool, reason: str, which: Sequence[int] | None = None) -> None:
        """Write down of some runs of a rung (all by default) that they go on or are stopped; some have just ended."""
        for i in range(len(seen)) if which is None else which:
            running = seen.status[i] == "running"
            told = reason if running else f"ended: {seen.status[i]}"
            self.decide(seen.ids[i], seen.t_last[i], running and not going, told)

    def decide(
        self,
        run: Any,
        t: float,
        stop: bool,
        reason: str,
        probability: float = math.nan,
        threshold: float = math.nan,
        incumbent: float = math.nan,
        horizon: float | None = None,
    ) -> None:
        """Write down whether a run is stopped at `t`; `horizon` is that of the trials unless given."""
        at = self.trials.horizon if horizon is None else horizon
        name = self.trials.metric.name
        self._decisions.append(Decision(run, float(t), stop, reason, probability, threshold, incumbent, at, name))

    def record(self) -> SearchRecord:
        """All that was kept."""
        seen = self.trials.seen(np.array(list(self._started), dtype=np.int64))
        kept = [row for row, value in self._finished.items() if np.isfinite(value)]
        among = self.trials.seen(np.array(kept, dtype=np.int64)) if kept else seen
        best, value = best_of(among)
        return SearchRecord(
            metric=self.trials.metric,
            spent=self._spent,
            clock=self._steps[-1].clock if self._steps else 0.0,
            started=tuple(seen.ids),
            kept=tuple(self.trials.seen(np.array(kept, dtype=np.int64)).ids),
            best=best,
            value=value,
            decisions=tuple(self._decisions),
            timeline=tuple(self._steps),
        )


def best_of(curves: Curves) -> tuple[Any, float]:
    """Id and last value of the run with the best last value, the first of equals; (None, NaN) if all diverged."""
    last = oriented_last(curves)
    if not np.isfinite(last).any():
        return None, math.nan
    i = int(np.argmax(last))
    return curves.ids[i], float(curves.final[i])


def top(scores: FloatArray, k: int) -> IntArray:
    """Positions of the `k` best scores, best first, the earlier of equals first; none that cannot go on."""
    order = np.argsort(-scores, kind="stable")[: max(k, 0)]
    return np.asarray(order[scores[order] > -np.inf], dtype=np.int64)
