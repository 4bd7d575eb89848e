from __future__ import annotations

import numpy as np
import pytest
from recorded import flat, noisy, table

from metalcx.decide import EarlyStop, Recorded, random_search
from metalcx.forecasters import Baseline

R = 9


def rule(**options: object) -> EarlyStop:
    return EarlyStop(**{"make": lambda: Baseline("shift"), "R": R, "burn_in": 10, "growth": 1, **options})  # type: ignore[arg-type]


def test_without_a_rule_everything_is_trained() -> None:
    curves = noisy(30, R)
    record = random_search(Recorded(curves), seed=0)
    assert record.spent == 30 * R
    assert record.value == curves.best()
    assert record.started == tuple(curves.ids[np.random.default_rng(0).permutation(30)])


def test_the_rule_saves_and_keeps_the_best() -> None:
    curves = noisy(80, R)
    record = random_search(Recorded(curves), stop=rule(delta=0.95), seed=0)
    stopped = [d for d in record.decisions if d.stop]
    assert record.value == curves.best()
    assert record.spent < 80 * R / 1.5
    assert set(record.kept) | {d.run for d in stopped} == set(curves.ids)
    assert not {d.run for d in stopped} & set(record.started[:10])
    assert all(d.probability <= 0.05 + 1e-9 for d in stopped)
    assert all("the best so far" in d.reason for d in stopped)


def test_a_run_goes_on_from_unit_to_unit_once_it_is_watched() -> None:
    record = random_search(Recorded(flat([*range(10), 99])), stop=rule())
    last = [step.t for step in record.timeline if step.run == "r10"]
    assert last == list(range(1, 10))


@pytest.mark.parametrize("delta", [0.996, 1.0])
def test_delta_towards_one_stops_nothing(delta: float) -> None:
    record = random_search(Recorded(flat(range(40, 0, -1))), stop=rule(delta=delta))
    assert record.spent == 40 * R
    assert random_search(Recorded(flat(range(40, 0, -1))), stop=rule(delta=0.99)).spent == 10 * R + 30


def test_a_minimised_metric_is_searched_alike() -> None:
    curves = noisy(60, R)
    one, other = (random_search(Recorded(c), stop=rule(), seed=1) for c in (curves, curves.mirrored()))
    assert (one.spent, one.kept) == (other.spent, other.kept)


def test_what_diverges_ends_by_itself() -> None:
    curves = table([[1.0] * 9] * 10 + [[0.1, 0.2, np.inf], [0.5, 0.6]])
    record = random_search(Recorded(curves), stop=rule(delta=1.0))
    assert [(s.run, s.t) for s in record.timeline if s.finished][10:] == [("r10", 3), ("r11", 2)]
    assert record.kept == (*(f"r{i}" for i in range(10)), "r11")
    assert record.spent == 95
    assert random_search(Recorded(table([[np.inf]] * 12)), stop=rule()).best is None


def test_points_until_a_run_was_found() -> None:
    record = random_search(Recorded(flat([1, 2, 3])))
    assert record.spent_until(["r1", "r2"]) == 18
    assert record.spent_until([]) == np.inf


def test_arguments_out_of_range_are_refused() -> None:
    for options in ({"delta": 0}, {"R": 0}, {"burn_in": 0}, {"growth": -1}):
        with pytest.raises(ValueError):
            rule(**options)
