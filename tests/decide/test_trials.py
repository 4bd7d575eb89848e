from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded import flat, table
from strategies import SCORE, make, ragged

from metalcx.curves import Curves
from metalcx.decide import Recorded, Trials
from metalcx.errors import DataError


def test_points_are_spent_once_whatever_pauses() -> None:
    trials = Recorded(flat([1.0, 2.0], points=9))
    assert isinstance(trials, Trials)
    assert (len(trials), trials.horizon, trials.spent) == (2, 9.0, 0)
    assert list(trials.advance([1], 3)) == [3]
    assert list(trials.advance([1], 2)) == [0]
    assert list(trials.advance([1, 0], 5.5)) == [2, 5]
    assert trials.spent == 10
    assert list(trials.taken) == [5, 5]


def test_what_is_seen_is_what_was_trained() -> None:
    trials = Recorded(table([[1, 2, 3], [4, 5, 6], [7, np.inf]]))
    trials.advance([0, 2], 1)
    seen = trials.seen([2, 0])
    assert list(seen.ids) == ["r2", "r0"]
    assert list(seen.y) == [7, 1]
    assert list(seen.status) == ["running", "running"]
    trials.advance([0, 2], 3)
    assert list(trials.seen([0, 2]).status) == ["completed", "diverged"]
    with pytest.raises(DataError, match="'r1' were not started"):
        trials.seen([0, 1])


def test_the_first_point_is_always_taken_and_a_run_ends_where_its_recording_does() -> None:
    ragged_runs = make(SCORE, [(np.array([5.0, 10.0]), np.ones(2)), (np.array([5.0]), np.ones(1))])
    trials = Recorded(ragged_runs)
    assert list(trials.advance([0, 1], 0.5)) == [1, 1]
    assert list(trials.seen([0, 1]).status) == ["running", "completed"]
    assert list(trials.advance([0, 1], 99)) == [1, 0]


def test_a_horizon_completes_what_was_recorded_further() -> None:
    trials = Recorded(table([[1, 2, 3], [1, 2], [1, 2, np.inf]]), horizon=2)
    trials.advance([0, 1, 2], 2)
    seen = trials.seen([0, 1, 2])
    assert list(seen.status) == ["completed"] * 3
    assert list(seen.final) == [2, 2, 2]


def test_only_ended_runs_are_recordings() -> None:
    running = make(SCORE, [(np.ones(1), np.ones(1))], ["running"])
    with pytest.raises(DataError, match="still running"):
        Recorded(running)
    with pytest.raises(DataError, match="no run"):
        Recorded(make(SCORE, []))


@given(ragged(), st.lists(st.tuples(st.integers(0, 4), st.floats(0, 130)), max_size=12))
def test_spent_is_what_is_seen(curves: Curves, moves: list[tuple[int, float]]) -> None:
    ended = curves.take(curves.status != "running")
    trials = Recorded(ended)
    took = sum(int(trials.advance([row % len(ended)], t)[0]) for row, t in moves)
    started = np.flatnonzero(trials.taken)
    assert trials.spent == took == trials.seen(started).length.sum()
