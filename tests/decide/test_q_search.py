from __future__ import annotations

import numpy as np
import pytest
from recorded import flat, noisy, table

from metalcx.decide import EPSILON_SCHEDULE, EarlyStop, Recorded, q_search, stretched
from metalcx.decide._q_search import START, _grow, _Values, _walk
from metalcx.errors import DataError
from metalcx.forecasters import Baseline

#: Three choices of two layers each; the end depends on both.
PATHS = [[("a", i), ("b", j), ("end", i, j)] for i in range(4) for j in range(5)]
FINALS = [i / 10 + j / 100 for i in range(4) for j in range(5)]


def test_an_update_by_hand() -> None:
    q = _Values.of([["x", "y"], ["x", "z"]], rate=0.1, discount=0.5, initial=0.5)
    assert q.numbers(["x", "y"]) == [START, 1, 2]
    q.update([START, 1, 2], reward=1.0)
    # The last layer moves towards the reward, the first towards half of the best that follows.
    assert q.values[1] == pytest.approx({2: 0.55, 3: 0.5})
    assert q.values[START] == pytest.approx({1: 0.5 + 0.1 * (0.5 * 0.55 - 0.5)})
    q.update([START, 1, 3], reward=0.0)
    assert q.values[1] == pytest.approx({2: 0.55, 3: 0.45})


def test_q_converges_to_the_best_end() -> None:
    paths = [[("a", i), ("a", i, j)] for i in range(4) for j in range(5)]
    q = _Values.of(paths, rate=0.5, discount=1.0, initial=0.0)
    for _ in range(60):
        for path, final in zip(paths, FINALS, strict=True):
            q.update(q.numbers(path), final)
    first = {i: q.values[START][q.numbered["a", i]] for i in range(4)}
    assert first == pytest.approx({i: i / 10 + 0.04 for i in range(4)}, abs=1e-3)


def test_every_network_is_trained_once() -> None:
    curves = flat(FINALS)
    record = q_search(Recorded(curves), PATHS, schedule=[(1.0, 5), (0.1, 15)])
    assert sorted(record.started) == sorted(curves.ids)
    assert record.spent == 20 * 9


def test_a_greedy_walk_takes_the_best_known_and_what_is_left() -> None:
    trials = Recorded(flat(FINALS))
    q = _Values.of(PATHS, rate=1.0, discount=1.0, initial=0.0)
    for path, final in zip(PATHS, FINALS, strict=True):
        q.update(q.numbers(path), final)
    root, rng = _grow(trials, PATHS), np.random.default_rng(0)
    found = [_walk(root, q, 0.0, rng) for _ in range(20)]
    assert found[0] == 19
    assert sorted(found) == list(range(20))
    assert all(run >= 15 for run in found[:5])


def test_it_learns_which_layers_are_good() -> None:
    paths = [[("a", i), ("b", j), ("end", i, j)] for i in range(8) for j in range(20)]
    finals = 0.4 * np.random.default_rng(0).random(160)
    finals[60:80] += 0.5
    curves = flat(finals, points=2)
    good = {f"r{i}" for i in np.argsort(-finals)[:20]}

    def until(epsilon: float) -> float:
        schedule = [(1.0, 40), (epsilon, 120)]
        records = [q_search(Recorded(curves), paths, schedule=schedule, rate=0.1, replay=20, seed=s) for s in range(5)]
        return float(np.mean([sum(run in good for run in r.started[:70]) for r in records]))

    assert until(0.1) > until(1.0) + 5


def test_a_stopped_network_teaches_what_was_expected_of_it() -> None:
    curves = noisy(20, 9)
    stop = EarlyStop(lambda: Baseline("shift"), R=9, delta=0.9, burn_in=5, growth=1)
    record = q_search(Recorded(curves), PATHS, stop=stop)
    assert any(d.stop for d in record.decisions)
    assert record.spent < 20 * 9
    assert len(record.started) == 20


def test_same_seed_same_search_and_a_minimised_metric_alike() -> None:
    curves = noisy(20, 3)
    one, same, other = (q_search(Recorded(curves), PATHS, schedule=[(0.5, 20)], seed=s) for s in (0, 0, 1))
    assert one == same
    assert one.started != other.started
    mirrored = q_search(Recorded(curves.mirrored()), PATHS, schedule=[(0.5, 20)])
    assert mirrored.started == one.started


def test_networks_that_diverge_and_equal_paths() -> None:
    rows = [[np.inf] if i % 3 == 0 else [f, f] for i, f in enumerate(FINALS)]
    record = q_search(Recorded(table(rows)), PATHS, schedule=[(0.0, 20)])
    assert len(record.started) == 20
    twice = q_search(Recorded(flat([1, 2])), [["x"], ["x"]])
    assert twice.started == ("r0", "r1")


def test_a_stretched_schedule_keeps_its_proportions() -> None:
    schedule = stretched(EPSILON_SCHEDULE, 1000)
    assert sum(count for _, count in schedule) == 1000
    assert schedule[0] == (1.0, 556)
    assert [e for e, _ in schedule] == [e for e, _ in EPSILON_SCHEDULE]
    assert stretched(EPSILON_SCHEDULE, 2700) == EPSILON_SCHEDULE


def test_what_cannot_be_walked_is_refused() -> None:
    trials = Recorded(flat([1, 2]))
    for paths in ([["x"]], [["x"], ["x", "y"]], [[], ["x"]]):
        with pytest.raises(DataError):
            q_search(trials, paths)
    for options in ({"schedule": []}, {"schedule": [(1.2, 5)]}, {"rate": 0}, {"discount": 2}, {"replay": -1}):
        with pytest.raises(ValueError):
            q_search(trials, [["x"], ["y"]], **options)  # type: ignore[arg-type]
