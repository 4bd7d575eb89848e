"""What the expert gate sees: no batch mates, no units, no future."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import rising

from metalcx.curves import PaddedCurves
from metalcx.forecasters._aligned import align
from metalcx.forecasters._gate_inputs import GATED, N_FEATURES, GateInputs, gate_inputs
from metalcx.forecasters._gate_items import MOST_LEFT_OUT, SUPPORT_CUTS, Items, items, left_out, spread, support_items
from metalcx.forecasters._panel import points
from metalcx.transfer._augment import padded


def curves(n: int, seed: int = 0, points: int = 20) -> PaddedCurves:
    return padded(np.array([y for _, y in rising(n, points, seed)]))


def inputs(support: PaddedCurves, prefix: PaddedCurves, rows: list[int], at: list[float]) -> list[np.ndarray]:
    """x, offsets, centre and anchor, one row a request."""
    a = align(support, prefix, np.array(rows), np.array(at))
    found: GateInputs = gate_inputs(a)
    return [a.rows(v) for v in (found.x, found.offsets, found.centre, found.anchor)]


@pytest.mark.parametrize("k", [0, 1, 2, 3, 4, 9])
def test_shapes_and_bounds_at_every_support_size(k: int) -> None:
    a = align(curves(9).take(np.arange(k)), curves(5, 1).truncate(6.0), np.arange(5), np.full(5, 20.0))
    found = gate_inputs(a)
    assert found.x.shape == (1, 5, N_FEATURES)
    assert found.offsets.shape == (1, 5, len(GATED))
    assert np.isfinite(found.x).all()
    assert np.abs(found.x).max() <= 12
    assert (found.anchor > 0).all()
    np.testing.assert_array_equal(found.centre, points(a, ("med5",))[..., 0])
    if not k:
        np.testing.assert_array_equal(found.centre[0], curves(5, 1).truncate(6.0).last)


@settings(max_examples=5)
@given(st.integers(0, 10**6), st.sampled_from([0, 1, 2, 3, 6]), st.data())
def test_a_request_does_not_know_its_batch(seed: int, k: int, data: st.DataObject) -> None:
    cuts = np.array(data.draw(st.lists(st.integers(1, 18), min_size=5, max_size=5)), dtype=float)
    at = data.draw(st.lists(st.sampled_from([19.0, 20.0, 31.0]), min_size=5, max_size=5))
    support, prefix = curves(6, seed).take(np.arange(k)), curves(5, seed + 1).truncate(cuts)
    whole = inputs(support, prefix, [0, 1, 2, 3, 4], at)
    for i in (0, 3):
        for one, all_ in zip(inputs(support, prefix.take([i]), [0], [at[i]]), whole, strict=True):
            np.testing.assert_allclose(one[0], all_[i], rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("k", [0, 1, 2, 3, 8])
def test_neither_level_nor_unit_of_values_is_seen(k: int) -> None:
    """Shifting and stretching all values changes points and anchor along, and no feature."""
    support, prefix = curves(8).take(np.arange(k)), curves(5, 1).truncate(6.0)
    other = [c.with_values(64.0 * c.y + (128.0 if k else 0.0)) for c in (support, prefix)]
    rows, at = [0, 1, 2, 3, 4], [20.0] * 5
    plain, moved = inputs(support, prefix, rows, at), inputs(*other, rows, at)
    np.testing.assert_allclose(moved[0], plain[0], rtol=1e-6, atol=2e-6)
    np.testing.assert_allclose(moved[2], 64.0 * plain[2] + (128.0 if k else 0.0), rtol=1e-9)
    np.testing.assert_allclose(moved[3], 64.0 * plain[3], rtol=1e-6)


@pytest.mark.parametrize("k", [3, 4, 9])
def test_a_held_out_run_never_shows_its_own_future(k: int) -> None:
    """What a support run did after the cut changes its answer, and not what is asked about it."""
    support = curves(k)
    before = support_items(support)
    for run in (0, k - 1):
        later = support.y.copy()
        later[run, 8:] -= 0.1  # after the last of the cuts, at which 8 of 20 points are seen
        after = support_items(support.with_values(later))
        mine = np.arange(len(before)) % k == run
        np.testing.assert_array_equal(after.x[mine], before.x[mine])
        np.testing.assert_array_equal(after.offsets[mine], before.offsets[mine])
        assert (after.y[mine] < before.y[mine]).all()
        # The others do see it: it is in their support.
        assert (after.x[~mine] != before.x[~mine]).any()


def test_support_items_come_a_cut_at_a_time_in_the_order_of_the_support() -> None:
    """Golden: held out by hand, each run cut at its first 2, 4 and 8 of 20 points."""
    support = curves(5)
    found = support_items(support)
    assert len(found) == 5 * len(SUPPORT_CUTS)
    for c, seen in enumerate((2, 4, 8)):
        for run in range(5):
            rest = support.take([i for i in range(5) if i != run])
            query = support.take([run]).truncate(float(seen))
            x, offsets, centre, anchor = inputs(rest, query, [0], [20.0])
            row = 5 * c + run
            np.testing.assert_allclose(found.x[row], x[0], rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(found.offsets[row], offsets[0], rtol=1e-4, atol=1e-4)
            np.testing.assert_allclose(found.y[row], (support.last[run] - centre[0]) / anchor[0], rtol=1e-4)


def test_items_answer_in_anchors_and_weigh_by_the_centres_error() -> None:
    support, queries = curves(6), curves(4, 1)
    a = align(support, queries.truncate(5.0), np.arange(4), np.full(4, 20.0))
    found = items(a, queries.last, 0.25)
    inp = gate_inputs(a)
    miss = queries.last - inp.centre[0]
    np.testing.assert_allclose(found.y, miss / inp.anchor[0], rtol=1e-5)
    # A loss in anchors times the weight is one in units of med5's mean error, and of a fiftieth of the scale.
    np.testing.assert_allclose(found.weight, inp.anchor[0] / (np.abs(miss).mean() + 0.02 * 0.25), rtol=1e-5)
    assert found.x.dtype == found.y.dtype == np.float32


def test_an_answer_out_of_all_proportion_is_bounded() -> None:
    support, queries = curves(6), curves(2, 1)
    a = align(support, queries.truncate(5.0), np.arange(2), np.full(2, 20.0))
    np.testing.assert_array_equal(items(a, np.array([1e9, -1e9]), 1.0).y, [1e3, -1e3])


def test_items_join_and_select() -> None:
    one = support_items(curves(4))
    both = Items.concat([one, one.take(np.array([2, 0]))])
    assert len(both) == len(one) + 2
    np.testing.assert_array_equal(both.x[-2:], one.x[[2, 0]])
    np.testing.assert_array_equal(both.take(np.arange(len(both)) < 3).weight, one.weight[:3])


@pytest.mark.parametrize(
    ("finals", "expected"),
    [
        (np.arange(101.0), 50.0),  # the inter-quartile range
        (np.r_[np.zeros(80), np.linspace(0, 1, 21)], 0.75 / 4),  # most are alike: a quarter of q95 - q05
        (np.full(7, 3.0), 1.0),
    ],
)
def test_spread_golden(finals: np.ndarray, expected: float) -> None:
    assert spread(finals) == pytest.approx(expected)


@pytest.mark.filterwarnings("error")
def test_constant_and_diverged_supports_give_finite_items() -> None:
    flat = padded(np.full((4, 12), 0.3))
    broken = replace(curves(4, points=12), diverged=np.array([True, False, False, False]))
    for support in (flat, broken, padded(np.full((3, 1), 0.5))):
        found = support_items(support)
        for column in (found.x, found.offsets, found.y, found.weight):
            assert np.isfinite(column).all()


def test_of_a_large_support_some_runs_are_held_out() -> None:
    """The others still stand beside each of those: what they say is what they would say of it alone."""
    support = curves(40)
    chosen = left_out(40)
    assert len(chosen) == MOST_LEFT_OUT
    assert len(set(chosen)) == MOST_LEFT_OUT
    np.testing.assert_array_equal(left_out(7), np.arange(7))
    found = support_items(support, (0.2,))
    assert len(found) == MOST_LEFT_OUT
    half = align(support, support.take([0]).truncate(support.t[0, 3]), np.zeros(1, dtype=np.int64), support.t_last[:1])
    whole = gate_inputs(half.leave_one_out())
    some = gate_inputs(half.leave_one_out(chosen))
    np.testing.assert_allclose(some.x, whole.x[chosen])
