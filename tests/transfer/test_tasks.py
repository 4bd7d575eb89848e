"""The protocol's rules on runs, values, scales and draws, on made-up tasks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import corpus, rising, task
from strategies import SCORE, make

from metalcx.corpora import Corpus, all_tasks
from metalcx.curves import Curves, Metric
from metalcx.transfer import PreparedTask, prepare, prepared
from metalcx.transfer._tasks import MAX_RUNS, _scale, cut_times, draw, n_seen

T = np.arange(1.0, 7.0)
LOSS = Metric("loss", "min", 0.0)
PERPLEXITY = Metric("ppl", "min", 1.0, None, "perplexity")


def prepare_all(curves: Curves, corpus: str = "made-up") -> PreparedTask:
    found = prepare(curves, "t", corpus, "f")
    assert found is not None
    return found


def runs(n: int = 4, seed: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    return rising(n, 6, seed)


def test_short_runs_are_dropped_by_corpus() -> None:
    parts = [(np.arange(float(n)), np.linspace(0, 1, n)) for n in (4, 5, 19, 20)]
    assert list(prepare_all(make(SCORE, parts)).curves.length) == [5, 19, 20]
    assert list(prepare_all(make(SCORE, parts), "lemur").curves.length) == [20]
    assert prepare(make(SCORE, parts[:1]), "t", "made-up", "f") is None


def test_points_that_were_not_measured_do_not_count() -> None:
    hole = np.array([0.1, np.nan, 0.3, np.nan, 0.5, np.nan])
    parts = [*runs(3), (T, hole)]
    assert len(prepare_all(make(SCORE, parts))) == 3
    kept = prepare_all(make(SCORE, [*runs(2), (T, np.array([0.1, np.nan, 0.3, 0.4, 0.5, 0.6]))]))
    assert list(kept.curves.t[-5:]) == [1, 3, 4, 5, 6]


def test_exact_duplicates_are_dropped_and_the_first_stays() -> None:
    parts = runs(3)
    again = [*parts, (parts[1][0], parts[1][1]), (parts[1][0] + 0.5, parts[1][1])]
    assert list(prepare_all(make(SCORE, again)).curves.ids) == [0, 1, 2, 4]


def test_runs_without_a_group_are_none_of_one_group() -> None:
    group = np.array([None, None, "a", "a", None, np.nan], dtype=object)
    assert list(prepare_all(make(SCORE, runs(6), group=group)).curves.ids) == [0, 1, 2, 4, 5]
    alone = prepare_all(make(SCORE, runs(30), group=np.full(30, None, dtype=object)))
    drawn = draw(alone, 5, [0])
    assert (len(drawn.support), len(drawn.queries), drawn.by_group) == (5, 25, True)


def test_one_run_a_group_and_configuration() -> None:
    config = pd.DataFrame({"lr": [0.1, 0.1, 0.2, 0.1, np.nan, np.nan]})
    group = np.array(["a", "a", "a", "b", "b", "b"], dtype=object)
    kept = prepare_all(make(SCORE, runs(6), group=group, config=config))
    assert list(kept.curves.ids) == [0, 2, 3, 4]
    assert list(prepare_all(make(SCORE, runs(6), group=group)).curves.ids) == [0, 3]
    assert len(prepare_all(make(SCORE, runs(6), config=config))) == 6


def test_higher_is_better_and_perplexity_is_its_negative_logarithm() -> None:
    y = np.linspace(9, 4, 6)
    np.testing.assert_array_equal(prepare_all(make(LOSS, [(T, y)])).curves.y, -y)
    np.testing.assert_allclose(prepare_all(make(PERPLEXITY, [(T, y)])).curves.y, -np.log(y))
    assert prepare_all(make(LOSS, [(T, y)])).curves.metric == SCORE


def test_floor_golden() -> None:
    """Firsts 0, 0.2 and 0.4, best 1: floor = 0.2 - 3 x 0.8 = -2.2."""
    parts = [(T, np.array([a, 0.5, -b, 0.5, 0.6, c])) for a, b, c in ((0, 2.0, 0.8), (0.2, 2.2, 1.0), (0.4, 7.0, -9.0))]
    found = prepare_all(make(SCORE, parts))
    np.testing.assert_allclose(found.curves.y.reshape(3, 6)[:, 2], [-2.0, -2.2, -2.2])
    np.testing.assert_allclose(found.final, [0.8, 1.0, -2.2])


@pytest.mark.parametrize("metric", [LOSS, PERPLEXITY, SCORE])
def test_a_diverged_run_ends_at_the_floor(metric: Metric) -> None:
    parts = [(T, y + (2.0 if metric.goal == "min" else 0.0)) for _, y in runs(4)]
    bad = parts[2][1].copy()
    bad[-1] = np.inf
    parts[2] = (T, bad)
    found = prepare_all(make(metric, parts, ["completed", "completed", "diverged", "completed"]))
    first = found.curves.y[found.curves.offsets[:-1]]
    floor = np.median(first) - 3 * (found.curves.y.max() - np.median(first))
    assert found.final[2] == pytest.approx(floor)
    assert np.isfinite(found.curves.y).all()
    # From here on it is a run like any other.
    assert set(found.curves.status) == {"completed"}


def test_at_most_400_runs_drawn_once() -> None:
    many = make(SCORE, rising(MAX_RUNS + 60, 6, 0))
    one, again = prepare_all(many), prepare_all(many)
    assert len(one) == MAX_RUNS == 400
    np.testing.assert_array_equal(one.curves.ids, again.curves.ids)
    assert list(one.curves.ids) == sorted(one.curves.ids)
    assert max(one.curves.ids) >= MAX_RUNS
    other = prepare(many, "t", "made-up", "f", seed=1)
    assert other is not None
    assert list(other.curves.ids) != list(one.curves.ids)


@pytest.mark.parametrize(
    ("finals", "expected"),
    [
        (np.arange(101.0), 50.0),
        (np.r_[np.zeros(80), np.linspace(0, 1, 21)], 0.75 / 4),  # IQR 0, q95 - q05 = 0.75
        (np.r_[np.zeros(30), np.linspace(0, 0.021, 41), np.ones(30)], None),
        (np.full(9, 2.0), 1.0),
    ],
)
def test_scale_rule(finals: np.ndarray, expected: float | None) -> None:
    q05, q25, q75, q95 = np.quantile(finals, [0.05, 0.25, 0.75, 0.95])
    rule = q75 - q25 if q75 - q25 >= 0.02 * (q95 - q05) else (q95 - q05) / 4
    assert _scale(finals) == pytest.approx(rule if expected is None else expected)


def test_prepared_joins_families_that_share_a_dataset_and_leaves_out_small_tasks(tmp_path) -> None:
    corpus(tmp_path, "lemur", ["a", "b"], n=12)
    corpus(tmp_path, "nmtlc", ["a"], n=7, ragged=True)
    opened = [Corpus.open(tmp_path / name) for name in ("lemur", "nmtlc")]
    found = prepared(all_tasks(opened))
    assert [t.name for t in found] == ["lemur/task-a", "lemur/task-b", "nmtlc/task-a"]
    assert [t.family for t in found] == ["a", "b", "a"]
    assert [t.ragged for t in found] == [False, False, True]
    assert [t.name for t in prepared(all_tasks(opened), min_runs=8)] == ["lemur/task-a", "lemur/task-b"]


@pytest.mark.parametrize(
    ("length", "cut", "expected"),
    [(20, 0.1, 2), (20, 0.4, 8), (5, 0.1, 2), (3, 0.4, 2), (200, 0.2, 40), (25, 0.1, 2), (35, 0.1, 4), (2, 0.9, 1)],
)
def test_points_seen_golden(length: int, cut: float, expected: int) -> None:
    t = np.arange(length) * 0.5
    curves = make(SCORE, [(t, np.linspace(0, 1, length))])
    assert list(n_seen(curves, cut)) == [expected]
    assert list(cut_times(curves, cut)) == [t[expected - 1]]
    assert list(curves.truncate(cut_times(curves, cut)).length) == [expected]


def test_a_draw_is_nested_and_its_queries_are_the_same_for_all_k() -> None:
    t = task("t", "f", n=60)
    d = draw(t, 20, (3, 1))
    again = draw(t, 20, (3, 1))
    np.testing.assert_array_equal(d.support, again.support)
    np.testing.assert_array_equal(d.queries, again.queries)
    assert (draw(t, 20, (3, 2)).support != d.support).any()
    assert (draw(t, 20, (4, 1)).support != d.support).any()
    assert len(d.support) == 20
    assert d.by_group
    assert sorted([*d.support, *d.queries]) == list(range(60))


def test_queries_are_capped() -> None:
    assert len(draw(task("t", "f", n=60), 20, (0,), max_queries=25).queries) == 25


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6), size=st.integers(1, 3))
def test_support_and_queries_share_no_group(seed: int, size: int) -> None:
    group = np.array([f"g{i // size}" for i in range(150)], dtype=object)
    config = pd.DataFrame({"lr": np.arange(150.0)})
    t = task("t", "f", n=150, points=5, group=group, config=config)
    d = draw(t, 20, (seed,))
    assert d.by_group
    assert not set(t.curves.group[d.support]) & set(t.curves.group[d.queries])
    # Nothing else is left out.
    apart = ~np.isin(t.curves.group.astype(str), t.curves.group[d.support].astype(str))
    assert sorted(d.queries) == list(np.flatnonzero(apart))


def test_a_task_with_too_few_other_groups_is_split_by_run_and_marked() -> None:
    group = np.array([f"g{i % 5}" for i in range(60)], dtype=object)
    config = pd.DataFrame({"lr": np.arange(60.0)})
    d = draw(task("t", "f", n=60, group=group, config=config), 20, (0,))
    assert not d.by_group
    assert len(d.queries) == 40
    assert not set(d.support) & set(d.queries)
