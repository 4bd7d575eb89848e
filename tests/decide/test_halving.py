from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded import flat, noisy, table, whole
from strategies import LOSS

from metalcx.decide import ForecastScore, Recorded, SearchRecord, brackets, hyperband, successive_halving
from metalcx.errors import DataError
from metalcx.forecasters import Baseline


def ends(record: SearchRecord) -> dict[object, float]:
    """How far each run was trained."""
    return {step.run: step.t for step in record.timeline}


def test_brackets_of_the_paper() -> None:
    # Algorithm 1 with R = 81 and eta = 3. (The table printed beside it takes the whole part of (s_max + 1) / (s + 1)
    # first and starts 27, 9 and 6 runs in the middle brackets.)
    found = {b.s: b.rungs for b in brackets(81, 3)}
    assert found == {
        4: ((81, 1), (27, 3), (9, 9), (3, 27), (1, 81)),
        3: ((34, 3), (11, 9), (3, 27), (1, 81)),
        2: ((15, 9), (5, 27), (1, 81)),
        1: ((8, 27), (2, 81)),
        0: ((5, 81),),
    }


@pytest.mark.parametrize(("R", "eta", "most"), [(243, 3, 5), (1000, 10, 3), (80, 3, 3), (1, 3, 0), (64, 4, 3)])
def test_the_most_thinning_bracket_is_exact_at_powers(R: float, eta: float, most: int) -> None:
    first, *_ = brackets(R, eta)
    assert first.s == most
    assert first.n == eta**most
    assert first.rungs[-1] == (1, R)


def test_halving_by_hand() -> None:
    # Nine runs of nine points: after one the best three, after three the best one.
    rows = [[i, i, 10 - i, *[20 - i] * 6] for i in range(9)]
    record = successive_halving(Recorded(table(rows)), R=9)
    assert ends(record) == {**{f"r{i}": 1 for i in range(6)}, "r7": 3, "r8": 3, "r6": 9}
    assert (record.best, record.value, record.kept) == ("r6", 14, ("r6",))
    assert record.spent == record.clock == 9 + 3 * 2 + 6
    stopped = [(d.run, d.t) for d in record.decisions if d.stop]
    assert stopped == [(f"r{i}", 1) for i in range(6)] + [("r7", 3), ("r8", 3)]
    assert "number 4 of 9 at 1 by last value, of whom 3 go on" in record.decisions[5].reason
    assert record.timeline[-1] == (21.0, 21, "r6", 9.0, True, 14.0)


def test_a_unit_is_a_share_of_the_horizon() -> None:
    record = successive_halving(Recorded(flat(range(9), points=18)), R=9)
    assert sorted(ends(record).values()) == [2] * 6 + [6] * 2 + [18]
    assert (
        sorted(ends(successive_halving(Recorded(flat(range(9), points=18)), R=9, r=3)).values()) == [6] * 6 + [18] * 3
    )


def test_rungs_stand_at_the_end_where_eta_does_not_divide() -> None:
    record = successive_halving(Recorded(flat(range(9), points=20)), R=20, eta=3)
    assert sorted(ends(record).values()) == [2] * 6 + [6] * 2 + [20]


def test_hyperband_with_one_bracket_is_halving() -> None:
    curves = noisy(40, 9)
    order = np.random.default_rng(3).permutation(40)
    # R of 1: a single bracket that trains one run to the end.
    one, other = (f(Recorded(curves), R=1, order=order[:1]) for f in (hyperband, successive_halving))
    assert whole(one) == whole(other)
    first = brackets(9)[0]
    one = hyperband(Recorded(curves), R=9, order=order[: first.n])
    assert whole(one) == whole(successive_halving(Recorded(curves), R=9, order=order, n=first.n))


def test_hyperband_draws_without_replacement_and_takes_what_is_left() -> None:
    curves = noisy(40, 9)
    # Brackets of R = 9 start 9 + 5 + 3 runs.
    assert len(hyperband(Recorded(curves), R=9).started) == 17
    record = hyperband(Recorded(curves), R=9, passes=None, seed=1)
    assert sorted(record.started) == sorted(curves.ids)
    few = hyperband(Recorded(curves), R=9, order=[4, 2])
    assert few.started == ("r4", "r2")
    assert len(few.kept) == 1


def test_spent_is_what_the_trials_say() -> None:
    trials = Recorded(noisy(40, 9))
    assert hyperband(trials, R=9, passes=None).spent == trials.spent


@pytest.mark.parametrize("search", [successive_halving, hyperband])
def test_a_minimised_metric_is_searched_alike(search: object) -> None:
    curves = noisy(30, 9)
    for score in (None, ForecastScore(Baseline("shift")), ForecastScore(Baseline("shift"), by="prob_best")):
        one = search(Recorded(curves), R=9, score=score, seed=4)  # type: ignore[operator]
        other = search(Recorded(curves.mirrored()), R=9, score=score, seed=4)  # type: ignore[operator]
        assert (one.best, one.spent, one.kept) == (other.best, other.spent, other.kept)
        assert one.value == -other.value
        assert [d.reason for d in one.decisions] == [d.reason for d in other.decisions]


def test_same_seed_same_search() -> None:
    curves = noisy(40, 9)
    one, same, other = (hyperband(Recorded(curves), R=9, seed=s) for s in (0, 0, 1))
    assert whole(one) == whole(same)
    assert one.started != other.started


def test_diverged_runs_are_never_promoted_even_if_room_is_left() -> None:
    record = successive_halving(Recorded(table([[np.inf]] * 8 + [[0.5] * 9])), R=9)
    assert record.kept == ("r8",)
    record = successive_halving(Recorded(table([[1, np.inf]] * 8 + [[0.5] * 9])), R=9)
    assert (record.kept, record.best) == ((), "r3")
    record = successive_halving(Recorded(table([[np.inf]] * 9)), R=9)
    assert (record.best, record.kept) == (None, ())
    assert np.isnan(record.value)
    assert {(d.reason, d.stop) for d in record.decisions} == {("ended: diverged", False)}


def test_runs_that_end_early_are_kept_and_cost_nothing_more() -> None:
    record = successive_halving(Recorded(table([[5]] + [[i / 10] * 9 for i in range(8)])), R=9)
    assert record.best == "r0"
    assert ends(record)["r0"] == 1
    assert {d.reason for d in record.decisions if d.run == "r0"} == {"ended: completed"}
    assert record.spent == 9 + 2 * 2


def test_fewer_runs_than_a_rung_wants() -> None:
    for n in (1, 2, 4):
        record = successive_halving(Recorded(flat(range(n))), R=9)
        assert record.kept == (f"r{n - 1}",)
    assert successive_halving(Recorded(flat(range(9))), R=9, order=[]).spent == 0


def test_a_forecast_promotes_what_the_last_value_would_not() -> None:
    # What is low at first ends high, and the runs that finished in the first pass have shown it.
    curves = table([[i, i, *[10 - i] * 7] for i in range(10)] * 2)
    plain = hyperband(Recorded(curves), R=9, passes=None)
    learned = hyperband(Recorded(curves), R=9, passes=None, score=ForecastScore(Baseline("affine"), startup=3))
    assert plain.started[-3:] == learned.started[-3:] == ("r17", "r18", "r19")
    assert (plain.kept[-1], learned.kept[-1]) == ("r19", "r17")
    assert "by expected final value" in learned.decisions[-1].reason


@given(st.integers(1, 40), st.integers(0, 5), st.sampled_from([2, 3, 4]))
def test_a_promoted_run_is_as_good_as_any_that_is_not(n: int, seed: int, eta: int) -> None:
    curves = noisy(n, 8, seed, LOSS)
    record = successive_halving(Recorded(curves), R=8, eta=eta)
    for t in {d.t for d in record.decisions}:
        at = dict(zip(curves.ids, curves.truncate(t).final, strict=True))
        on, off = ([at[d.run] for d in record.decisions if d.t == t and d.stop == stop] for stop in (False, True))
        assert max(on) <= min(off, default=np.inf)


def test_arguments_out_of_range_are_refused() -> None:
    trials = Recorded(flat([1, 2]))
    for options in ({"R": 0.5}, {"R": 9, "eta": 1}, {"R": 9, "r": 0}, {"R": 9, "n": 0}):
        with pytest.raises(ValueError):
            successive_halving(trials, **options)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="passes"):
        hyperband(trials, R=9, passes=0)
    for options in ({"order": [0, 0]}, {"order": [2]}, {"order": [0], "seed": 1}):
        with pytest.raises(DataError):
            hyperband(trials, R=9, **options)  # type: ignore[arg-type]
