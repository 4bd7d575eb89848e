from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded import flat, noisy, table, whole

from metalcx.decide import Recorded, SearchRecord, brackets, f_hyperband, hyperband
from metalcx.decide._fast_hyperband import _times
from metalcx.decide._halving import Rung
from metalcx.forecasters import SRM, Baseline

R = 9


def shift() -> Baseline:
    return Baseline("shift")


def inside(record: SearchRecord) -> list[object]:
    """Runs that were stopped on their way to a rung."""
    return [d.run for d in record.decisions if d.stop and not np.isnan(d.probability)]


def search(curves: object, **options: object) -> SearchRecord:
    options = {"make": shift, "ready": 5, "growth": 2, **options}
    return f_hyperband(Recorded(curves), R=R, **options)  # type: ignore[arg-type]


def test_it_stops_inside_rungs_and_saves_points() -> None:
    curves = noisy(100, R)
    record, plain = search(curves, seed=0), hyperband(Recorded(curves), R=R, passes=None, seed=0)
    assert inside(record)
    assert record.spent < plain.spent
    stopped = next(d for d in record.decisions if d.run == inside(record)[0] and d.stop)
    assert stopped.probability <= stopped.threshold == pytest.approx(0.05)
    assert "number" in stopped.reason
    assert stopped.t < stopped.horizon


def test_the_rule_by_hand() -> None:
    # R of 3: a bracket of three runs, then one of two that go straight to the end, where the better one counts.
    earlier, curves = noisy(20, 3, seed=1), table([[1, 1, 1]] * 3 + [[0.5, 0.6, 0.9], [0.1, 0.2, 0.3]])
    record = f_hyperband(Recorded(curves), R=3, make=shift, delta=0.9, ready=20, earlier=earlier)
    (stopped,) = [d for d in record.decisions if np.isfinite(d.probability)]
    (run, t), line = (stopped.run, stopped.t), 0.9
    assert (run, t, stopped.horizon, stopped.incumbent) == ("r4", 1, 3, line)
    forecast = shift().adapt(earlier).forecast(curves.take([4]).truncate(1), at=3)
    assert stopped.probability == pytest.approx(max(forecast.prob_better(line)[0], 0.005))
    assert stopped.threshold == pytest.approx(0.1)
    assert "number 1 at the rung" in stopped.reason


@settings(max_examples=20)
@given(st.integers(1, 60), st.integers(0, 9))
def test_with_kappa_of_one_it_is_hyperband(n: int, seed: int) -> None:
    curves = noisy(n, R, seed)
    plain = hyperband(Recorded(curves), R=R, passes=None, seed=seed)
    assert whole(search(curves, kappa=1.0, seed=seed)) == whole(plain)


@pytest.mark.parametrize("delta", [0.996, 1.0])
def test_with_delta_towards_one_nothing_is_stopped(delta: float) -> None:
    # Flat runs that are forecast without a doubt are as good as sure to stay below.
    for curves in (noisy(90, R), flat(list(range(90)), R)):
        record = search(curves, delta=delta, seed=0)
        assert not inside(record)
        assert record.spent == hyperband(Recorded(curves), R=R, passes=None, seed=0).spent


def test_the_first_of_a_rung_are_never_stopped() -> None:
    curves = noisy(100, R)
    assert not inside(search(curves, ready=10_000, seed=0))
    # Before so many have reached the rung at 3 units, which all runs of a pass but the stopped ones do.
    record = search(curves, ready=30, seed=0)
    reached: dict[object, None] = {}
    for step in record.timeline:
        if step.t >= 3:
            reached.setdefault(step.run)
        if step.run in inside(record):
            assert len(reached) >= 30
            break
    assert set(list(reached)[:30]).isdisjoint(d.run for d in record.decisions if d.horizon == 3 and d.stop)


@settings(max_examples=8)
@given(st.sampled_from([1 / 3, 0.5, 0.8, 1.0]), st.integers(0, 9))
def test_a_share_of_each_rung_reaches_it(kappa: float, seed: int) -> None:
    curves = noisy(40, R, seed)
    record = search(curves, kappa=kappa, delta=0.5, seed=seed)
    ends = {step.run: step.t for step in record.timeline}
    rows, plan = list(record.started), brackets(R)
    while rows:
        for bracket in plan:
            there, rows = rows[: bracket.n], rows[bracket.n :]
            level = bracket.rungs[0][1]
            assert sum(ends[run] >= level for run in there) >= kappa * len(there) - 1e-9


def test_a_minimised_metric_is_searched_alike() -> None:
    curves = noisy(90, R)
    one, other = search(curves, seed=1), search(curves.mirrored(), seed=1)
    assert inside(one) == inside(other)
    assert (one.best, one.spent, one.value) == (other.best, other.spent, -other.value)


def test_runs_of_earlier_searches_let_it_stop_from_the_start() -> None:
    curves = noisy(90, R)
    old, new = curves.take(range(30)), curves.take(range(30, 90))
    old = replace(old, ids=np.array([f"old {i}" for i in range(30)], dtype=object))
    fresh, taught = search(new, ready=30), search(new, ready=30, earlier=old)
    assert taught.spent < fresh.spent
    assert set(taught.started) == set(new.ids)


def test_diverged_and_short_runs_are_no_trouble() -> None:
    rng = np.random.default_rng(0)
    rows = [
        [*row[: rng.integers(1, 27)], *([np.inf] if i % 5 == 0 else [])] for i, row in enumerate(rng.random((90, 27)))
    ]
    record = search(table(rows), seed=0)
    assert len(record.started) == 90
    assert record.value == max(d for d in [record.value])
    assert record.best is not None


def test_an_srm_is_a_model_of_one_rung() -> None:
    curves = noisy(60, 9)
    record = f_hyperband(
        Recorded(curves), R=9, make=lambda: SRM(regressor="ols", features=("TS",)), ready=20, growth=5, seed=0
    )
    assert inside(record)


def test_whole_units_on_the_way_to_a_rung() -> None:
    assert list(_times(Rung(0, 20 / 9, 1, 1.0))) == [1, 2, 20 / 9]
    assert list(_times(Rung(20 / 9, 20 / 3, 1, 0.5))) == pytest.approx([1.5, 2, 2.5, 3, 10 / 3])
    assert list(_times(Rung(0, 1, 1, 1.0))) == [1]
    assert list(_times(Rung(1, 3, 1, 1.0))) == [2, 3]


def test_arguments_out_of_range_are_refused() -> None:
    for options in ({"delta": 0}, {"delta": 1.1}, {"kappa": 0.3}, {"kappa": 1.1}, {"ready": 0}, {"growth": -1}):
        with pytest.raises(ValueError):
            search(flat([1, 2]), **options)
