"""The suggest benchmark: pools, searchers, nothing leaks from a target, and a run goes on where it ended."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from made_pools import worth, write_pools

from metalcx.bench import run_suggest
from metalcx.bench.suggest import _choice
from metalcx.bench.suggest import _run as _suggest
from metalcx.bench.suggest._choice import chosen_for
from metalcx.bench.suggest._pools import _by_word, _words, pools_of
from metalcx.bench.suggest._searchers import METHODS, Chosen, Ended, Oracle, transferred
from metalcx.errors import DataError
from metalcx.transfer import Trust


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    write_pools(root / "pools", 60, 3)
    return root


@pytest.fixture(scope="module")
def pools(data):
    return list(pools_of(data, "pools", None))


def searched(pool, name="suggest", seed=0, budget=12, values=None):
    ask = Oracle(pool.values if values is None else values, budget, np.inf)
    with suppress(Ended):
        METHODS[name].search(pool, ask, seed, Chosen(Trust(), "bayes", 0.1))
    return ask.order


def test_a_pool_is_a_task_whose_family_is_left_out(pools):
    assert [pool.name for pool in pools] == ["pools/d0", "pools/d1", "pools/d2"]
    assert pools[0].without == ("d0",)
    assert pools[0].elsewhere.shape == (len(pools[0]), 2)
    assert pools[0].known_elsewhere


@pytest.mark.parametrize("name", METHODS)
def test_every_searcher_asks_for_other_candidates_until_the_budget_is_spent(pools, name):
    order = searched(pools[0], name)
    assert len(order) == len(set(order)) == 12
    whole = searched(pools[0], name, budget=10_000)
    assert len(whole) == len(set(whole)) == len(pools[0])


@pytest.mark.parametrize("name", ["suggest", "mean rank over sources", "trees on sources"])
def test_what_held_elsewhere_finds_good_ones_at_once(pools, name):
    found = pools[0].values[searched(pools[0], name, budget=5)]
    assert found.max() >= np.quantile(pools[0].values, 0.93)


@pytest.mark.parametrize("name", METHODS)
def test_values_not_asked_for_change_nothing(pools, name):
    order = searched(pools[0], name, seed=3)
    other = pools[0].values.copy()
    hidden = np.setdiff1d(np.arange(len(other)), order)
    other[hidden] = np.random.default_rng(0).permutation(other[hidden]) - 100
    assert searched(pools[0], name, seed=3, values=other) == order


def test_nothing_of_the_target_is_chosen_by(pools, monkeypatch):
    monkeypatch.setattr(_choice, "STEPS", 10)
    fitter = pools[0].fitter
    first, *others = fitter.sources.tasks
    shuffled = replace(first, score=-first.score)
    other = replace(fitter, sources=replace(fitter.sources, tasks=(shuffled, *others)))
    assert chosen_for(fitter, ["d0"]) == chosen_for(other, ["d0"])
    assert chosen_for(fitter, ["d1"]) != chosen_for(other, ["d1"])


def test_seeds_differ_and_repeat(pools):
    assert searched(pools[0], "random", 1) == searched(pools[0], "random", 1) != searched(pools[0], "random", 2)


def test_neighbours_differ_in_one_word():
    words = _words(np.array(["0011|gat|gcn", "0012|gat|gcn", "0012|gin|gcn", "0011|gat|gcn"], dtype=object))
    assert words.shape == (4, 6)
    assert [sorted(near.tolist()) for near in _by_word(words)[:3]] == [[1] + [3] * 6, [0, 2, 3], [1]]
    assert _words(np.array(["a|b", "a"], dtype=object)) is None


def test_regret_is_nought_at_the_best_and_bounded_for_what_diverged(pools):
    pool = replace(pools[0], values=np.append(pools[0].values[:-1], -np.inf))
    best, worst = pool.regret(np.array([pool.values.max(), -np.inf]))
    assert best == 0
    assert 1 <= worst < 2


def test_a_run_goes_on_where_it_ended_and_tells_what_was_reached(data, tmp_path, monkeypatch):
    names = ["random", "mean rank over sources", "suggest"]
    options = {"corpora": ["pools"], "tasks": ["d0", "d2"], "seeds": 3}
    run_suggest(data, tmp_path / "out", methods=names[:1], **options)
    rows = run_suggest(data, tmp_path / "out", methods=names, **options)
    assert sorted({row["method"] for row in rows}) == sorted(names)
    assert {row["task"] for row in rows} == {"d0", "d2"}
    monkeypatch.setattr(_suggest, "_measured", None)
    again = run_suggest(data, tmp_path / "out", methods=names, **options)
    assert json.dumps(again) == json.dumps(rows)
    page = (tmp_path / "out" / "suggest.md").read_text()
    assert "half or less (to reach: 80%)" in page
    assert "| d2 | suggest |" in page
    with pytest.raises(DataError, match="parts of other settings"):
        run_suggest(data, tmp_path / "out", methods=names, **options | {"seeds": 4})


def test_what_there_is_not(data, tmp_path):
    with pytest.raises(DataError, match="no method 'luck'"):
        run_suggest(data, tmp_path, methods=["luck"])
    with pytest.raises(DataError, match="lacks 'nowhere'"):
        run_suggest(data, tmp_path, corpora=["nowhere"])


def test_transferred_is_what_suggest_does():
    assert METHODS["suggest"].search is transferred
    assert worth("|nor_conv_3x3~0|") > worth("|nor_conv_1x1~0|")


def test_progress_goes_forward_to_its_total(tmp_path):
    for name, tasks in (("one", 3), ("two", 2)):
        write_pools(tmp_path / name, 40, tasks)
    told = []
    run_suggest(
        tmp_path,
        tmp_path / "out",
        corpora=["one", "two"],
        methods=["random"],
        seeds=1,
        progress=lambda *w: told.append(w),
    )
    assert [done for done, _, _ in told] == [1, 2, 3, 4, 5]
    assert [total for _, total, _ in told] == [4, 4, 4, 5, 5]
