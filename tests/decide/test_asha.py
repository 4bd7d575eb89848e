from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded import flat, noisy, table, whole

from metalcx.decide import ForecastScore, Recorded, SearchRecord, asha
from metalcx.forecasters import Baseline


def jobs(record: SearchRecord) -> list[tuple[object, float]]:
    return [(step.run, step.t) for step in record.timeline]


def test_promotions_by_hand_with_one_worker() -> None:
    # Rungs at 1, 3 and 9. A third of a rung, rounded down, may go on.
    record = asha(Recorded(flat([3, 1, 4, 0, 8, 5, 2, 7, 6])), R=9)
    assert jobs(record) == [
        *[("r0", 1), ("r1", 1), ("r2", 1)],
        ("r2", 3),  # The best of three.
        *[("r3", 1), ("r4", 1)],
        ("r4", 3),  # The best of five: still one may go on, and now it is another one.
        ("r5", 1),
        ("r5", 3),  # Two of six may, the best has gone.
        ("r4", 9),  # Of the three at 3.
        *[("r6", 1), ("r7", 1)],
        ("r7", 3),
        ("r8", 1),
        ("r8", 3),
    ]
    assert record.spent == record.clock == 9 + 5 * 2 + 6
    assert (record.best, record.value, record.kept) == ("r4", 8, ("r4",))
    assert [d.run for d in record.decisions if not d.stop] == ["r2", "r4", "r5", "r4", "r7", "r8"]
    stopped = {d.run: d.reason for d in record.decisions if d.stop}
    assert sorted(stopped) == ["r0", "r1", "r2", "r3", "r5", "r6", "r7", "r8"]
    assert stopped["r0"] == "stopped: never among the best one in 3 of 9 at 1 by last value"


def test_two_workers_by_hand() -> None:
    record = asha(Recorded(flat([1, 2, 3], points=3)), R=3, workers=2)
    # Both end at 1; one starts the third run, the other waits for it in vain: only one of three may go on.
    assert [(s.clock, s.run, s.t) for s in record.timeline] == [(1, "r0", 1), (1, "r1", 1), (2, "r2", 1), (4, "r2", 3)]
    assert (record.clock, record.spent) == (4, 5)


def test_runs_are_compared_by_what_they_were_at_the_rung() -> None:
    # r2 goes on first and falls to 0; it keeps its place at the rung, so r0 may not go on for it.
    record = asha(Recorded(table([[2, 2, 2], [1, 1, 1], [3, 0, 0]])), R=3)
    assert jobs(record)[-1] == ("r2", 3)
    assert record.best == "r2"


def test_a_rung_may_be_left_out_at_the_bottom() -> None:
    curves = noisy(20, 9)
    assert whole(asha(Recorded(curves), R=9, s=1)) == whole(asha(Recorded(curves), R=9, r=3))
    everything = asha(Recorded(curves), R=9, s=2, workers=4)
    assert everything.spent == 20 * 9
    assert everything.value == curves.best()
    assert everything.clock == 5 * 9


def test_more_workers_end_sooner() -> None:
    records = [asha(Recorded(noisy(60, 27)), R=27, workers=w, seed=0) for w in (1, 4, 16)]
    assert [r.clock for r in records] == sorted((r.clock for r in records), reverse=True)
    assert records[0].clock == records[0].spent


def test_a_minimised_metric_is_searched_alike() -> None:
    curves = noisy(40, 9)
    for score in (None, ForecastScore(Baseline("shift")), ForecastScore(Baseline("shift"), by="prob_best")):
        one = asha(Recorded(curves), R=9, workers=3, score=score)
        other = asha(Recorded(curves.mirrored()), R=9, workers=3, score=score)
        assert jobs(one) == jobs(other)
        assert one.value == -other.value


def test_same_seed_same_search() -> None:
    curves = noisy(40, 9)
    one, same, other = (asha(Recorded(curves), R=9, workers=4, seed=s) for s in (0, 0, 1))
    assert whole(one) == whole(same)
    assert jobs(one) != jobs(other)


def test_diverged_runs_are_never_promoted_and_short_ones_go_on_for_nothing() -> None:
    record = asha(Recorded(table([[np.inf], [np.inf], [np.inf], [1, 1, 1, 1, 1, 1, 1, 1, 1]])), R=9)
    assert ("r0", 3) not in jobs(record)
    assert jobs(record)[-1] == ("r3", 3)
    record = asha(Recorded(table([[5], [4], [3]])), R=3)
    assert (record.spent, record.best) == (3, "r0")


def test_too_few_runs_to_promote_one_give_the_best_that_was_seen() -> None:
    record = asha(Recorded(flat([1, 2])), R=9)
    assert (record.kept, record.best, record.value, record.spent) == ((), "r1", 2, 2)
    assert asha(Recorded(flat([1, 2])), R=9, order=[]).best is None


@given(st.integers(1, 60), st.integers(1, 9), st.integers(0, 3), st.sampled_from([2, 3, 4]))
def test_no_more_than_one_in_eta_leaves_a_rung(n: int, workers: int, seed: int, eta: int) -> None:
    trials = Recorded(noisy(n, 16, seed))
    record = asha(trials, R=16, eta=eta, workers=workers)
    assert len(record.started) == n
    assert record.spent == trials.spent
    # A promotion that was right when it was made may be overtaken, so a rung can lose more than its share by a little.
    times = sorted({t for _, t in jobs(record)})
    counts = [sum(t == at for _, t in jobs(record)) for at in times]
    assert counts[0] == n
    assert all(more >= fewer for more, fewer in pairwise(counts))
    assert all(fewer >= more // eta for more, fewer in pairwise(counts))
    clocks = [step.clock for step in record.timeline]
    assert clocks == sorted(clocks)


def test_arguments_out_of_range_are_refused() -> None:
    for options in ({"workers": 0}, {"s": 3}, {"s": -1}, {"r": 10}):
        with pytest.raises(ValueError):
            asha(Recorded(flat([1, 2])), R=9, **options)  # type: ignore[arg-type]
