"""Episodes: what a network trains on shows nothing that a person would not have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from made_up import rising

from metalcx.curves import PaddedCurves
from metalcx.forecasters._aligned import align
from metalcx.forecasters._few_shot import MIN_SUPPORT
from metalcx.forecasters._gate_inputs import GATED, N_FEATURES
from metalcx.transfer import _episodes
from metalcx.transfer._augment import padded
from metalcx.transfer._episodes import MAX_QUERIES, SUPPORT_SIZES, Episode, _shortened, _warped, sample_episode


def curves(n: int = 40, seed: int = 0, points: int = 20) -> PaddedCurves:
    return padded(np.array([y for _, y in rising(n, points, seed)]))


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the last episode was made of: rows of support and queries, prefixes, times asked."""
    last: dict[str, Any] = {}
    draw = _episodes._draw_runs

    def drawing(*args: Any) -> Any:
        last["support"], last["queries"] = draw(*args)
        return last["support"], last["queries"]

    def aligning(support: PaddedCurves, prefix: PaddedCurves, rows: np.ndarray, times: np.ndarray) -> Any:
        last.update(prefix=prefix, rows=rows, times=times, complete=support)
        return align(support, prefix, rows, times)

    monkeypatch.setattr(_episodes, "_draw_runs", drawing)
    monkeypatch.setattr(_episodes, "align", aligning)
    return last


def drawn(c: PaddedCurves, seed: int, **known: Any) -> Episode:
    return sample_episode(c, np.random.default_rng(seed), **known)


@pytest.mark.parametrize("seed", range(12))
def test_nothing_after_the_cut_is_seen(seen: dict[str, Any], seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # The warp is a map that is drawn with the episode; its unit may come from anywhere.
    monkeypatch.setattr(_episodes, "WARPED", 0.0)
    c = curves()
    before = drawn(c, seed)
    later = c.y.copy()
    for row, end in zip(seen["queries"], seen["prefix"].t_last, strict=True):
        later[row, c.t[row] > end] -= 0.05
    after = drawn(c.with_values(later), seed)
    np.testing.assert_array_equal(after.query.x, before.query.x)
    np.testing.assert_array_equal(after.query.offsets, before.query.offsets)
    assert (after.query.y < before.query.y).all()


@pytest.mark.parametrize("seed", range(6))
def test_what_is_asked_for_comes_later_and_is_the_truth(
    seen: dict[str, Any], seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_episodes, "WARPED", 0.0)
    c = curves()
    found = drawn(c, seed)
    prefix, rows, times = seen["prefix"], seen["rows"], seen["times"]
    assert (times > prefix.t_last[rows]).all()
    asked = seen["queries"][rows]
    # Times are 1, 2, ...: the point asked for is the one at that time.
    truth = c.y[asked, times.astype(int) - 1]
    a = align(seen["complete"], prefix, rows, times)
    from metalcx.forecasters._gate_inputs import gate_inputs

    inputs = gate_inputs(a)
    np.testing.assert_allclose(
        a.rows(inputs.centre) + a.rows(inputs.anchor) * found.query.y, truth, rtol=1e-4, atol=1e-5
    )


def test_support_and_queries_are_apart_and_share_no_group(seen: dict[str, Any]) -> None:
    group = np.array([f"g{i // 2}" for i in range(40)], dtype=object)
    for seed in range(15):
        drawn(curves(), seed, group=group)
        assert not set(seen["support"]) & set(seen["queries"])
        assert not set(group[seen["support"]]) & set(group[seen["queries"]])
        assert 4 <= len(seen["queries"]) <= MAX_QUERIES


def test_where_one_group_is_all_there_is_runs_are_split(seen: dict[str, Any]) -> None:
    for seed in range(5):
        drawn(curves(12), seed, group=np.full(12, "g", dtype=object))
        assert not set(seen["support"]) & set(seen["queries"])
        assert len(seen["queries"]) >= 4


def test_support_sizes_range_from_none_to_twenty() -> None:
    c = curves(30, points=8)
    plain = [drawn(c, seed).k for seed in range(80)]
    assert set(plain) <= set(SUPPORT_SIZES)
    assert {0, 20} <= set(plain)
    assert len(set(plain)) >= 9
    held = [drawn(c, seed, with_support=True) for seed in range(15)]
    assert min(e.k for e in held) >= MIN_SUPPORT
    assert all(e.support is not None and len(e.support) == 3 * e.k for e in held)


def test_a_small_task_keeps_four_queries(seen: dict[str, Any]) -> None:
    for seed in range(10):
        found = drawn(curves(8), seed)
        assert found.k <= 4
        assert len(seen["queries"]) >= 4
    assert drawn(curves(5), 0, with_support=True).support is None


def test_shapes_and_finiteness() -> None:
    for seed in range(10):
        found = drawn(curves(), seed).query
        assert found.x.shape == (len(found), N_FEATURES)
        assert found.offsets.shape == (len(found), len(GATED))
        assert all(np.isfinite(column).all() for column in (found.x, found.offsets, found.y, found.weight))
        assert (found.weight > 0).all()


def test_the_draw_is_a_function_of_the_generator() -> None:
    one, again, other = drawn(curves(), 3), drawn(curves(), 3), drawn(curves(), 4)
    for name in ("x", "offsets", "y", "weight"):
        np.testing.assert_array_equal(getattr(one.query, name), getattr(again.query, name))
    assert one.query.x.shape != other.query.x.shape or (one.query.x != other.query.x).any()


def test_short_horizons_leave_enough_runs() -> None:
    c = curves(10)
    ends = [float(_shortened(c, np.random.default_rng(seed)).t_last.max()) for seed in range(60)]
    share = np.mean([end < 20 for end in ends])
    assert 0.15 < share < 0.55
    assert min(ends) >= 5
    few = padded(np.zeros((8, 4)))
    assert all((_shortened(few, np.random.default_rng(seed)).length >= 3).sum() >= 6 for seed in range(30))


def test_warps_increase_and_are_the_same_for_all_runs() -> None:
    c = curves(6)
    order = np.argsort(c.y.ravel())
    changed = 0
    for seed in range(30):
        y = _warped(c, np.random.default_rng(seed)).y.ravel()
        assert (np.diff(y[order]) >= 0).all()
        assert np.isfinite(y).all()
        changed += bool((y != c.y.ravel()).any())
    assert 5 < changed < 25
    flat = padded(np.full((4, 6), 0.5))
    assert all((_warped(flat, np.random.default_rng(s)).y == 0.5).all() for s in range(5))
