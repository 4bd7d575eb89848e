"""Successive halving and Hyperband: train many runs a little, and the best of them further."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from metalcx.decide._record import Ledger, SearchRecord, top
from metalcx.decide._score import LastValue, Score
from metalcx.decide._trials import IntArray, Trials, as_order

#: Trains the runs of a rung from the rung below to this one; gives those that reached it, in their order.
Train = Callable[[Ledger, IntArray, "Rung"], IntArray]


@dataclass(frozen=True)
class Bracket:
    """One run of successive halving within Hyperband.

    Attributes:
        s: How often the runs are thinned out.
        n: Runs at the start.
        R: Units of resource that the last ones get.
        eta: One in `eta` is promoted.
    """

    s: int
    n: int
    R: float
    eta: float

    @property
    def rungs(self) -> tuple[tuple[int, float], ...]:
        """(runs, units of resource) of each rung: n_i = floor(n eta^-i), r_i = R eta^(i-s)."""
        return tuple((whole(self.n / self.eta**i), self.R / self.eta ** (self.s - i)) for i in range(self.s + 1))


@dataclass(frozen=True)
class Rung:
    """What training towards a rung has to know.

    Attributes:
        start: Units of resource that the runs have already.
        stop: Units that they shall get.
        promoted: How many of them go on from there; on the last rung, how many would.
        unit: Time of one unit.
    """

    start: float
    stop: float
    promoted: int
    unit: float

    @property
    def t(self) -> float:
        """Time at which the rung stands."""
        return self.stop * self.unit


def brackets(R: float, eta: float = 3) -> tuple[Bracket, ...]:
    """The brackets of Hyperband, the most thinning one first.

    Source: Li et al. 2018, Hyperband (JMLR 18(185)), algorithm 1: s_max = floor(log_eta R), and bracket s starts
    n = ceil((s_max + 1) eta^s / (s + 1)) runs with R eta^-s units each.

    Args:
        R: The most units of resource a run gets.
        eta: One in `eta` is promoted.

    Raises:
        ValueError: If R is below 1, or eta not above 1.
    """
    most = thinnings(R, 1, eta)
    return tuple(Bracket(s, int(np.ceil((most + 1) * eta**s / (s + 1) - 1e-9)), R, eta) for s in range(most, -1, -1))


def thinnings(R: float, r: float, eta: float) -> int:
    """floor(log_eta(R / r)), exact where R / r is a power.

    Raises:
        ValueError: If R is below r, r is not positive, or eta is not above 1.
    """
    if not eta > 1:
        raise ValueError(f"eta is above 1; got {eta}")
    if not 0 < r <= R:
        raise ValueError(f"a run gets at least r > 0 and at most R >= r units of resource; got r={r}, R={R}")
    return whole(np.log(R / r) / np.log(eta))


def whole(x: float) -> int:
    """The whole part, where 2.9999999999 is 3: a power or a share that was rounded."""
    return int(np.floor(x + 1e-9))


def successive_halving(
    trials: Trials,
    R: float,
    *,
    r: float = 1,
    eta: float = 3,
    n: int | None = None,
    score: Score | None = None,
    order: npt.ArrayLike | None = None,
    seed: int | None = None,
) -> SearchRecord:
    """Train `n` runs a little, the best of them `eta` times as far, and so on, until the last have R units.

    Source: Jamieson and Talwalkar 2016; Li et al. 2018, algorithm 1 (inner loop). Rungs stand at R, R / eta,
    R / eta^2 ... units, none below r.

    Args:
        trials: What is trained; R units of resource are its horizon.
        R: Units of resource that the last runs get.
        r: The least units that a run gets.
        eta: One in `eta` is promoted.
        n: Runs to start; all by default.
        score: By what runs are promoted; by default their last value, as published.
        order: Positions of the runs in the order in which they are started; by default as they stand.
        seed: Draws an order.

    Raises:
        ValueError: If R, r, eta or n is out of range.
        DataError: If the order is none.
    """
    rows = as_order(trials, order, seed)
    if n is not None and n < 1:
        raise ValueError(f"n is at least 1; got {n}")
    rows = rows[:n]
    ledger = Ledger(trials)
    halve(ledger, rows, Bracket(thinnings(R, r, eta), len(rows), R, eta), score or LastValue(), train_all)
    return ledger.record()


def hyperband(
    trials: Trials,
    R: float,
    *,
    eta: float = 3,
    passes: int | None = 1,
    score: Score | None = None,
    order: npt.ArrayLike | None = None,
    seed: int | None = None,
) -> SearchRecord:
    """Successive halving with several trades of many runs against much training.

    Source: Li et al. 2018, Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization (JMLR 18(185)),
    algorithm 1. Runs are drawn without replacement; if fewer are left than a bracket starts, it starts those.

    Args:
        trials: What is trained; R units of resource are its horizon.
        R: The most units of resource a run gets.
        eta: One in `eta` is promoted.
        passes: How often all brackets are run; None until every run was started.
        score: By what runs are promoted; by default their last value, as published.
        order: Positions of the runs in the order in which they are started; by default as they stand.
        seed: Draws an order.

    Raises:
        ValueError: If R, eta or passes is out of range.
        DataError: If the order is none.
    """
    ledger = Ledger(trials)
    run_brackets(ledger, as_order(trials, order, seed), brackets(R, eta), passes, score or LastValue(), train_all)
    return ledger.record()


def run_brackets(
    ledger: Ledger, rows: IntArray, plan: tuple[Bracket, ...], passes: int | None, score: Score, train: Train
) -> None:
    """All brackets of `plan`, `passes` times over, as long as there are runs to start."""
    if passes is not None and passes < 1:
        raise ValueError(f"passes is at least 1, or None for as many as there are runs; got {passes}")
    done = 0
    while len(rows) and (passes is None or done < passes):
        for bracket in plan:
            halve(ledger, rows[: bracket.n], bracket, score, train)
            rows = rows[bracket.n :]
        done += 1


def halve(ledger: Ledger, rows: IntArray, bracket: Bracket, score: Score, train: Train) -> None:
    """One bracket on the runs at `rows`, which may be fewer than it wants; at least one of them is promoted."""
    unit, start, below = ledger.trials.horizon / bracket.R, len(rows), 0.0
    for i, (_, resource) in enumerate(bracket.rungs):
        if not len(rows):
            return
        rung = Rung(below, resource, max(1, whole(start / bracket.eta ** (i + 1))), unit)
        rows, below = train(ledger, rows, rung), resource
        if i < bracket.s:
            rows = promote(ledger, rows, rung, score)


def train_all(ledger: Ledger, rows: IntArray, rung: Rung) -> IntArray:
    """Every run of the rung is trained to it."""
    ledger.train(rows, rung.t)
    return rows


def promote(ledger: Ledger, rows: IntArray, rung: Rung, score: Score) -> IntArray:
    """The runs of a rung that go on, in the order in which they were started."""
    if not len(rows):
        return rows
    seen = ledger.trials.seen(rows)
    scores = ledger.scores(score, seen)
    on = np.zeros(len(rows), dtype=bool)
    on[top(scores, rung.promoted)] = True
    place = np.argsort(np.argsort(-scores, kind="stable"), kind="stable") + 1
    for i in range(len(rows)):
        told = f"number {place[i]} of {len(rows)} at {rung.t:g} by {score.name}, of whom {int(on.sum())} go on"
        stopped = "diverged" if seen.status[i] == "diverged" else told
        reason = f"goes on: {told}" if on[i] else f"stopped: {stopped}"
        ledger.decide(seen.ids[i], seen.t_last[i], not on[i], reason)
    return rows[on]
