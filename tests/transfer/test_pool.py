"""The pool: the same whoever draws it and however often it is interrupted; the odds of its episodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_up import task, tasks

from metalcx.errors import DataError
from metalcx.forecasters._gate_items import Items
from metalcx.transfer import Pool, PoolConfig, PreparedTask, TrainConfig, _pool, build_pool
from metalcx.transfer._episodes import sample_episode
from metalcx.transfer._pool import NONE
from metalcx.transfer._train import episode_odds

LITTLE = PoolConfig(per_task=4, per_small_task=3, large=60, mixed=3, synthetic=2)


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_pool, "SHARD", 4)


@pytest.fixture(scope="module")
def sources() -> list[PreparedTask]:
    return tasks(3, n=12, points=10)


def equal(a: Pool, b: Pool) -> None:
    for one, other in ((a.queries, b.queries), (a.support, b.support)):
        assert (one is None) == (other is None)
        for f in fields(Items) if one is not None else ():
            np.testing.assert_array_equal(getattr(one, f.name), getattr(other, f.name))
    np.testing.assert_array_equal(a.episode, b.episode)
    np.testing.assert_array_equal(a.task, b.task)


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.npz"))


def test_every_kind_of_episode_is_there_and_marked(sources: list[PreparedTask], tmp_path: Path) -> None:
    pool = build_pool(sources, LITTLE, tmp_path)
    first, second = pool.task.T
    assert [int(((first == i) & (second == NONE)).sum()) for i in range(3)] == [3, 3, 3]
    mixed = (first != NONE) & (second != NONE)
    assert mixed.sum() == 3
    assert (first[mixed] != second[mixed]).all()
    assert ((first == NONE) & (second == NONE)).sum() == 2
    assert (np.diff(pool.episode) >= 0).all()
    assert set(pool.episode) == set(range(len(pool.task)))
    assert len(pool.queries) == len(pool.episode)
    assert pool.support is None


def test_rows_are_those_of_their_episode(sources: list[PreparedTask], tmp_path: Path) -> None:
    """Golden: episode 4 is the fourth job, the second of task 1, drawn from its own number."""
    pool = build_pool(sources, LITTLE, tmp_path)
    curves = sources[1].curves
    expected = sample_episode(curves.padded(), np.random.default_rng([0, 1, 4]), curves.group)
    assert tuple(pool.task[4]) == (1, NONE)
    np.testing.assert_array_equal(pool.queries.take(pool.episode == 4).x, expected.query.x)


def test_large_tasks_get_more_episodes_and_mixtures(tmp_path: Path) -> None:
    sources = [task("big", "f0", 0, n=20, points=6), task("small", "f1", 1, n=10, points=6)]
    pool = build_pool(sources, replace(LITTLE, large=15), tmp_path)
    first, second = pool.task.T
    assert [(first == i)[second == NONE].sum() for i in (0, 1)] == [4, 3]
    assert (first[second != NONE] == 0).all()


def test_a_corpus_of_little_weight_gets_few_episodes_mixtures_and_odds(tmp_path: Path) -> None:
    ours = replace(task("ours", "f0", 0, n=20, points=6), corpus="smallnets")
    sources = [ours, *(task(f"t{i}", f"f{i}", i, n=20, points=6) for i in range(1, 4))]
    config = replace(LITTLE, per_task=10, large=15, mixed=60, corpus_weight=(("smallnets", 0.1),))
    pool = build_pool(sources, config, tmp_path)
    first, second = pool.task.T
    assert [(first == i)[second == NONE].sum() for i in range(4)] == [1, 10, 10, 10]
    assert 0 < ((first == 0) | (second == 0))[second != NONE].mean() < 0.25
    odds = episode_odds(pool, sources, TrainConfig(), config)
    share = [odds[(first == i) & (second == NONE)].sum() for i in range(4)]
    np.testing.assert_allclose(np.array(share[1:]) / share[0], 10.0)


def test_tasks_of_one_family_are_not_mixed(tmp_path: Path) -> None:
    same = [task("a", "f", 0, n=10, points=6), task("b", "f", 1, n=10, points=6)]
    pool = build_pool(same, LITTLE, tmp_path)
    assert (pool.task[:, 1] == NONE).all()
    kin = [*same, task("c", "g", 2, n=10, points=6)]
    first, second = build_pool(kin, replace(LITTLE, mixed=12), tmp_path).task.T
    pairs = {(int(a), int(b)) for a, b in zip(first, second, strict=True) if b != NONE}
    assert pairs
    assert all((2 in pair) for pair in pairs)


def test_a_call_that_was_cut_short_goes_on_with_the_same_result(sources: list[PreparedTask], tmp_path: Path) -> None:
    whole = build_pool(sources, LITTLE, tmp_path)
    found = files(tmp_path)
    assert len(found) == 4
    stamp = found[0].stat().st_mtime_ns
    found[2].unlink()
    told: list[tuple[int, int]] = []
    equal(build_pool(sources, LITTLE, tmp_path, progress=lambda done, total, what: told.append((done, total))), whole)
    assert told == [(4, 4)]
    assert files(tmp_path) == found
    assert found[0].stat().st_mtime_ns == stamp
    assert not list(tmp_path.rglob("*.part"))


def test_a_stale_pool_is_not_reused(sources: list[PreparedTask], tmp_path: Path) -> None:
    build_pool(sources, LITTLE, tmp_path)
    n = len(files(tmp_path))
    other = task("t1", "f1", seed=9, n=12, points=10)
    renamed = replace(sources[1], family="f0")
    for changed, config in (
        (sources, replace(LITTLE, seed=1)),
        (sources, replace(LITTLE, with_support=True)),
        ([sources[0], other, sources[2]], LITTLE),
        ([sources[0], renamed, sources[2]], LITTLE),
        (sources[::-1], LITTLE),
        ([replace(s, curves=replace(s.curves, config=pd.DataFrame({"lr": range(len(s))}))) for s in sources], LITTLE),
    ):
        build_pool(changed, config, tmp_path)
        assert len(files(tmp_path)) > n
        n = len(files(tmp_path))


def test_the_number_of_processes_does_not_matter(sources: list[PreparedTask], tmp_path: Path) -> None:
    config = replace(LITTLE, with_support=True)
    one = build_pool(sources, config, tmp_path / "one")
    two = build_pool(sources, config, tmp_path / "two", workers=2)
    equal(one, two)
    assert one.support is not None
    assert one.support_episode is not None
    assert len(one.support) == len(one.support_episode)
    assert set(one.support_episode) <= set(range(len(one.task)))


# The odds of episodes.


def made_pool(rows: Sequence[tuple[int, int]]) -> Pool:
    """A pool of episodes without items."""
    none = np.zeros((0, 1), np.float32)
    return Pool(Items(none, none, none[:, 0], none[:, 0]), np.zeros(0, np.int64), np.array(rows, dtype=np.int64))


def weighed(
    family: str,
    runs: Sequence[int],
    rows: Sequence[tuple[int, int]],
    usable: Sequence[bool] | None = None,
    **known: float,
) -> np.ndarray:
    sources = [replace(BLANK[n], family=f) for f, n in zip(family, runs, strict=True)]
    may = None if usable is None else np.array(usable)
    return episode_odds(made_pool(rows), sources, TrainConfig(**known), PoolConfig(large=60), may)  # type: ignore[arg-type]


BLANK = {n: task("t", "f", n=n, points=5) for n in (10, 60)}


def test_families_are_tempered_golden() -> None:
    """Family a has four tasks: weight 4 x 1 / sqrt(4) = 2 against 1 of b; each task's episodes share its weight."""
    rows = [(0, NONE), (0, NONE), (1, NONE), (2, NONE), (3, NONE), (4, NONE)]
    odds = weighed("aaaab", [60] * 5, rows, temper=0.5)
    np.testing.assert_allclose(odds, np.array([0.25, 0.25, 0.5, 0.5, 0.5, 1.0]) / 3)
    np.testing.assert_allclose(weighed("aaaab", [60] * 5, rows, temper=0.0)[-1], 1 / 5)
    np.testing.assert_allclose(weighed("aaaab", [60] * 5, rows, temper=1.0)[-1], 1 / 2)


def test_small_tasks_weigh_less() -> None:
    odds = weighed("ab", [60, 10], [(0, NONE), (1, NONE)], small_weight=0.25)
    np.testing.assert_allclose(odds, [0.8, 0.2])


def test_mixtures_and_made_up_tasks_have_their_share() -> None:
    rows = [(0, NONE), (1, NONE), (0, 1), (1, 0), (NONE, NONE), (NONE, NONE), (NONE, NONE), (NONE, NONE)]
    odds = weighed("ab", [60, 60], rows, mixed=0.3, synthetic=0.2)
    np.testing.assert_allclose(odds, [0.25, 0.25, 0.15, 0.15, 0.05, 0.05, 0.05, 0.05])
    # A kind that is not there leaves its share to measured tasks.
    np.testing.assert_allclose(weighed("ab", [60, 60], rows[:4], mixed=0.3, synthetic=0.2), [0.35, 0.35, 0.15, 0.15])


def test_held_out_families_have_no_probability_also_in_mixtures() -> None:
    rows = [(0, NONE), (1, NONE), (2, NONE), (0, 1), (1, 2), (2, 0), (0, 2), (NONE, NONE)]
    odds = weighed("aba", [60] * 3, rows, [True, False, True])
    assert (odds[[1, 3, 4]] == 0).all()
    assert (np.delete(odds, [1, 3, 4]) > 0).all()
    assert odds.sum() == pytest.approx(1)


def test_nothing_to_learn_from_is_refused() -> None:
    with pytest.raises(DataError, match="no source task is left"):
        weighed("ab", [60, 60], [(0, NONE), (0, 1), (NONE, NONE)], [False, True])


def test_the_odds_of_a_real_pool_sum_to_one(sources: list[PreparedTask], tmp_path: Path) -> None:
    pool = build_pool(sources, LITTLE, tmp_path)
    odds = episode_odds(pool, sources, TrainConfig(), LITTLE)
    assert odds.sum() == pytest.approx(1)
    assert (odds > 0).all()
