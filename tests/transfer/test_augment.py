"""Mixed and made-up tasks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import rising

from metalcx.curves import PaddedCurves, pad
from metalcx.transfer._augment import SYNTHETIC_RUNS, mixed, normalised, padded, synthetic


def ragged(n: int, seed: int) -> PaddedCurves:
    parts = rising(n, 30, seed, ragged=True)
    offsets = np.concatenate([[0], np.cumsum([len(t) for t, _ in parts])])
    t, y = (np.concatenate([p[i] for p in parts]) for i in (0, 1))
    return pad(t, y, offsets, np.zeros(n, dtype=bool))


def whole(curves: PaddedCurves) -> None:
    n, length = curves.y.shape
    np.testing.assert_array_equal(curves.t, np.broadcast_to(np.arange(1.0, length + 1), (n, length)))
    assert (curves.length == length).all()
    assert not curves.diverged.any()
    assert np.isfinite(curves.y).all()


def test_normalised_golden() -> None:
    """Firsts 1, 2, 3 and best 6: 2 becomes 0, 6 becomes 1, and -20 the floor."""
    curves = padded(np.array([[1.0, 4.0], [2.0, 6.0], [3.0, -20.0]]))
    np.testing.assert_allclose(normalised(curves).y, [[-0.25, 0.5], [0.0, 1.0], [0.25, -3.0]])
    flat = padded(np.full((3, 4), 7.0))
    np.testing.assert_array_equal(normalised(flat).y, np.zeros((3, 4)))


@settings(max_examples=20)
@given(st.integers(0, 10**6))
def test_synthetic_tasks_are_whole_and_normalised(seed: int) -> None:
    curves = synthetic(np.random.default_rng(seed))
    whole(curves)
    assert len(curves) == SYNTHETIC_RUNS
    assert 12 <= curves.y.shape[1] <= 150
    assert curves.y.min() >= -3
    # At most 1 but for noise, whose level is at most 0.05 times a log-normal factor.
    assert curves.y.max() < 1.0 + 1.5
    assert np.median(curves.y.max(1)) < 1.2
    np.testing.assert_array_equal(synthetic(np.random.default_rng(seed)).y, curves.y)


def test_synthetic_tasks_differ_in_length_failures_and_spread() -> None:
    drawn = [synthetic(np.random.default_rng(i)) for i in range(40)]
    assert len({c.y.shape[1] for c in drawn}) > 15
    # Some runs of some tasks never learn: they end where they began.
    stuck = [(c.last < c.first + 0.02).mean() for c in drawn]
    assert max(stuck) > 0.05
    assert min(stuck) == 0


@settings(max_examples=20)
@given(st.integers(0, 10**6))
def test_mixed_tasks_lie_between_their_parents(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = ragged(9, seed), ragged(14, seed + 1)
    curves = mixed(a, b, rng)
    whole(curves)
    assert len(curves) == 9
    assert 12 <= curves.y.shape[1] <= 120
    # Subsets are normalised anew: the best of each is 1, and no mixture of ones is more.
    assert curves.y.max() <= 1 + 1e-12
    assert curves.y.min() >= -3
    np.testing.assert_array_equal(mixed(a, b, np.random.default_rng(seed)).y, curves.y)


def test_a_mixture_of_a_task_with_itself_of_one_shape_is_that_shape() -> None:
    """All runs of both parents rise from 0 to 1 in a line, over other times: so does every mixture."""
    a = padded(np.tile(np.linspace(0.0, 2.0, 21), (5, 1)))
    b = padded(np.tile(np.linspace(-7.0, -3.0, 11), (6, 1)))
    curves = mixed(a, b, np.random.default_rng(0))
    np.testing.assert_allclose(curves.y, np.tile(np.linspace(0, 1, curves.y.shape[1]), (5, 1)), atol=1e-12)


def test_large_parents_are_cut_to_eighty_runs() -> None:
    assert len(mixed(ragged(90, 0), ragged(100, 1), np.random.default_rng(0))) == 80


@pytest.mark.parametrize("n", [4, 30])
def test_the_number_of_synthetic_runs_is_free(n: int) -> None:
    assert len(synthetic(np.random.default_rng(0), n)) == n
