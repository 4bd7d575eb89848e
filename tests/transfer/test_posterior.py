"""The posterior is that of a Gaussian process, knows only order, and only of what it was told."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metalcx.transfer import Posterior, quantiles_of
from metalcx.transfer._ranked import RankedPosterior, ranking_weights


def made(n: int = 40, f: int = 6, seed: int = 0) -> Posterior:
    random = np.random.default_rng(seed)
    return Posterior(random.normal(size=n), random.normal(size=(n, f)).astype(np.float32), 0.3)


def test_mean_and_spread_are_those_of_the_textbook():
    belief, values = made(), np.random.default_rng(1).normal(size=100)
    rows = [3, 17, 5, 30, 3]
    for row in rows:
        belief.tell(row, values[row])
    features = belief.features.astype(np.float64)
    kernel, inner = features @ features.T, features[rows] @ features[rows].T + 0.3 * np.eye(5)
    gain = kernel[:, rows] @ np.linalg.inv(inner)
    np.testing.assert_allclose(belief.mean(), belief.prior + gain @ (belief.scores - belief.prior[rows]), atol=1e-4)
    variance = np.diag(kernel - gain @ kernel[rows]) + 0.3
    np.testing.assert_allclose(belief.spread(), np.sqrt(variance), atol=1e-4)


def test_more_can_be_told_than_there_was_room_for():
    belief = made(150)
    for row in range(140):
        belief.tell(row, float(row))
    assert np.isfinite(belief.mean()).all()
    assert (belief.spread() >= np.sqrt(0.3) - 1e-6).all()


def test_what_is_being_tried_narrows_the_spread_and_moves_no_mean():
    belief = made()
    belief.tell(1, 5.0)
    belief.tell(2, 3.0)
    mean, spread = belief.mean(), belief.spread()
    belief.tell(7, float("nan"))
    np.testing.assert_array_equal(belief.mean(), mean)
    assert (belief.spread() <= spread + 1e-6).all()
    assert belief.spread()[7] < spread[7] - 0.1


@pytest.mark.parametrize("first", [7, 9, 11])
def test_results_may_come_in_any_order(first):
    waited, plain = made(), made()
    for belief in (waited, plain):
        belief.tell(1, 5.0)
    waited.tell(7, float("nan"))
    waited.tell(9, float("nan"))
    for belief in (waited, plain):
        belief.tell(first, 2.0)
    assert waited.rows == [1, first, *(row for row in (7, 9) if row != first)]
    np.testing.assert_allclose(waited.mean(), plain.mean(), atol=1e-5)


def test_only_the_order_of_values_counts():
    a, b = made(), made()
    for row, value in ((1, 0.2), (5, 0.9), (8, -4.0)):
        a.tell(row, value)
        b.tell(row, np.exp(3 * value))
    np.testing.assert_allclose(a.mean(), b.mean())


def test_a_diverged_candidate_is_the_worst_and_no_number_breaks():
    belief = made()
    belief.tell(1, -np.inf)
    belief.tell(2, 0.5)
    assert belief.scores[0] < belief.scores[1]
    assert np.isfinite(belief.mean()).all()


@given(st.permutations(range(12)))
def test_permuted_candidates_are_thought_of_alike(order):
    order = np.array(order)
    random = np.random.default_rng(3)
    prior, features = random.normal(size=12), random.normal(size=(12, 4)).astype(np.float32)
    a, b = Posterior(prior, features, 0.2), Posterior(prior[order], features[order], 0.2)
    for row, value in ((2, 1.0), (9, 0.3), (4, 0.7)):
        a.tell(row, value)
        b.tell(int(np.flatnonzero(order == row)[0]), value)
    np.testing.assert_allclose(a.mean()[order], b.mean(), atol=1e-5)


def test_quantiles_of_a_mixture():
    values = quantiles_of(np.array([1.0, 9.0, 4.0]), np.zeros(3), np.ones(3))
    assert values[0] == pytest.approx(-values[1])
    assert values[2] == pytest.approx(0.0, abs=1e-9)
    tied = quantiles_of(np.array([1.0, 1.0]), np.array([0.0, 2.0]), np.ones(2))
    assert tied[0] == tied[1] == pytest.approx(1.0)
    assert len(quantiles_of(np.empty(0), np.empty(0), np.empty(0))) == 0


def test_weights_go_to_the_source_that_orders_as_the_target_does():
    random = np.random.default_rng(0)
    values = random.normal(size=30)
    each = np.column_stack([random.normal(size=30), values + 0.1 * random.normal(size=30), -values])
    weight = ranking_weights(each, values, np.full(3, 1 / 3), np.random.default_rng(1))
    assert weight.sum() == pytest.approx(1)
    assert weight[1] > 0.95
    values[:3] = -np.inf
    again = ranking_weights(each, values, np.full(3, 1 / 3), np.random.default_rng(1))
    assert again[1] > 0.8


def test_ranked_sources_take_over_only_after_a_few_results():
    random = np.random.default_rng(0)
    truth = random.normal(size=50)
    each = np.column_stack([truth, -truth]).astype(np.float32)
    belief = RankedPosterior(np.zeros(50), np.zeros((50, 1), np.float32), 0.3, each=each, weight=np.full(2, 0.5))
    for count, row in enumerate(range(6)):
        assert (np.abs(belief.prior).max() == 0) == (count < 3)
        belief.tell(row, truth[row])
    assert np.corrcoef(belief.mean(), truth)[0, 1] > 0.95
