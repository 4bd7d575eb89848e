"""Asynchronous successive halving: workers that never wait for a rung to fill."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from metalcx.curves import Curves
from metalcx.decide._halving import thinnings, whole
from metalcx.decide._record import Ledger, SearchRecord, top
from metalcx.decide._score import LastValue, Score
from metalcx.decide._trials import IntArray, Trials, as_order


def asha(
    trials: Trials,
    R: float,
    *,
    r: float = 1,
    eta: float = 3,
    s: int = 0,
    workers: int = 1,
    score: Score | None = None,
    order: npt.ArrayLike | None = None,
    seed: int | None = None,
) -> SearchRecord:
    """A free worker promotes a run that is among the best one in `eta` of its rung, or else starts another one.

    Source: Li et al. 2020, A System for Massively Parallel Hyperparameter Tuning (MLSys), algorithm 2. Rungs stand at
    R, R / eta, R / eta^2 ... units, none below ``r eta^s``; as published where R / r is a power of eta. Within a rung
    runs are compared by what they were when they reached it. Workers take one unit of the clock a point. The search
    ends when all runs were started and none can be promoted.

    Args:
        trials: What is trained; R units of resource are its horizon.
        R: The most units of resource a run gets.
        r: The least units that a run gets, for `s` of 0.
        eta: One in `eta` is promoted.
        s: Rungs left out at the bottom: the paper's early-stopping rate.
        workers: Runs that are trained side by side.
        score: By what runs are promoted; by default their last value, as published.
        order: Positions of the runs in the order in which they are started; by default as they stand.
        seed: Draws an order.

    Raises:
        ValueError: If an argument is out of range.
        DataError: If the order is none.
    """
    most = thinnings(R, r, eta)
    if not 0 <= s <= most:
        raise ValueError(f"s is between 0 and floor(log_eta(R / r)) = {most}; got {s}")
    if workers < 1:
        raise ValueError(f"workers is at least 1; got {workers}")
    times = [trials.horizon / eta ** (most - k) for k in range(s, most + 1)]
    ladder = _Ladder(Ledger(trials), score or LastValue(), eta, [_Rung(t) for t in times])
    _work(ladder, as_order(trials, order, seed), workers)
    ladder.tell()
    return ladder.ledger.record()


@dataclass
class _Rung:
    """The runs that have reached one rung.

    Attributes:
        t: Time at which it stands.
        rows: Runs, in the order of reaching it.
        scores: Of those, as far as they are known.
        promoted: Which of them have gone on.
        learned: Finished runs of which the scores know.
    """

    t: float
    rows: list[int] = field(default_factory=list)
    scores: npt.NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    promoted: set[int] = field(default_factory=set)
    learned: int = 0


@dataclass
class _Ladder:
    """All rungs, and who may be promoted."""

    ledger: Ledger
    score: Score
    eta: float
    rungs: list[_Rung]

    def promotable(self) -> tuple[int, int] | None:
        """A run and its rung, from the highest rung on which somebody may go on."""
        for k in range(len(self.rungs) - 2, -1, -1):
            rung = self.rungs[k]
            count = whole(len(rung.rows) / self.eta)
            for i in top(self._scores(rung), count) if count else ():
                row = rung.rows[int(i)]
                if row not in rung.promoted:
                    self._promote(row, k, count)
                    return row, k
        return None

    def reached(self, row: int, k: int, run: Curves) -> None:
        """A run has come to a rung; what will not change is asked for once, as it comes."""
        rung = self.rungs[k]
        rung.rows.append(row)
        if not self.score.learns:
            rung.scores = np.append(rung.scores, self.ledger.scores(self.score, run))

    def _scores(self, rung: _Rung) -> npt.NDArray[np.float64]:
        """Scores of a rung, as known when its runs reached it; asked for again only where they may have changed."""
        finished = self.ledger.n_finished
        if self.score.learns and (finished != rung.learned or len(rung.scores) < len(rung.rows)):
            runs = self.ledger.trials.seen(np.array(rung.rows)).truncate(rung.t)
            rung.scores, rung.learned = self.ledger.scores(self.score, runs), finished
        return rung.scores

    def _promote(self, row: int, k: int, count: int) -> None:
        rung = self.rungs[k]
        rung.promoted.add(row)
        told = f"among the best {count} of {len(rung.rows)} at {rung.t:g} by {self.score.name}"
        self.ledger.judge(self.ledger.trials.seen([row]), True, f"goes on to {self.rungs[k + 1].t:g}: {told}")

    def tell(self) -> None:
        """Write down who was never promoted."""
        for rung in self.rungs[:-1]:
            left = self.ledger.trials.seen([row for row in rung.rows if row not in rung.promoted])
            told = f"never among the best one in {self.eta:g} of {len(rung.rows)} at {rung.t:g} by {self.score.name}"
            self.ledger.judge(left, False, f"stopped: {told}")


def _work(ladder: _Ladder, rows: IntArray, workers: int) -> None:
    """Hand out jobs until nobody has one: (end, number, run, rung, points), the earliest end first."""
    trials, waiting = ladder.ledger.trials, list(map(int, rows[::-1]))
    jobs: list[tuple[float, int, int, int, int]] = []
    clock, handed, free = 0.0, 0, workers
    while True:
        while free:
            found = ladder.promotable()
            if found is None and not waiting:
                break
            row, rung = (waiting.pop(), 0) if found is None else (found[0], found[1] + 1)
            points = int(trials.advance([row], ladder.rungs[rung].t)[0])
            heapq.heappush(jobs, (clock + points, handed, row, rung, points))
            handed, free = handed + 1, free - 1
        if not jobs:
            return
        clock = jobs[0][0]
        # All that end at once are known before the next job is handed out.
        while jobs and jobs[0][0] == clock:
            _, _, row, rung, points = heapq.heappop(jobs)
            ladder.reached(row, rung, ladder.ledger.note(np.array([row]), np.array([points]), clock))
            free += 1
