"""Boosted trees on source items."""

from __future__ import annotations

import numpy as np
import pytest
from made_up import rising
from scipy.special import ndtri

from metalcx.errors import DataError
from metalcx.forecasters._gate_inputs import GATED, N_FEATURES
from metalcx.forecasters._gate_items import Items
from metalcx.forecasters._trees import REACH, BoostedTrees
from metalcx.protocol import LEVELS
from metalcx.testing import check_forecaster, synthetic_curves
from metalcx.transfer._augment import padded
from metalcx.transfer._episodes import sample_episode


def made_items(n: int, seed: int = 0) -> Items:
    """Items whose answer is twice the sign of the first feature, and noise of known size."""
    rng = np.random.default_rng(seed)
    x = np.zeros((n, N_FEATURES), np.float32)
    x[:, :4] = rng.normal(size=(n, 4))  # trees pass over what is constant, which is quick
    y = (2.0 * np.sign(x[:, 0]) + 0.1 * rng.normal(size=n)).astype(np.float32)
    return Items(x, np.zeros((n, len(GATED)), np.float32), y, np.ones(n, np.float32))


@pytest.fixture(scope="module")
def trained() -> BoostedTrees:
    rng = np.random.default_rng(0)
    curves = padded(np.array([y for _, y in rising(40, 20, 0)]))
    return BoostedTrees.fit(Items.concat([sample_episode(curves, rng).query for _ in range(40)]), iterations=10)


def test_rules(trained: BoostedTrees) -> None:
    check_forecaster(trained, tolerance=1e-4)


def test_what_is_learned_are_answers_and_widths() -> None:
    model = BoostedTrees.fit(made_items(800), iterations=45)
    x = made_items(300, seed=1).x
    near = np.abs(model.trees.predict(x) - 2.0 * np.sign(x[:, 0])) < 0.3
    assert near.mean() > 0.97  # all but those at the edge
    assert (np.diff(model.errors) >= 0).all()
    inner = (LEVELS > 0.05) & (LEVELS < 0.95)
    np.testing.assert_allclose(model.errors[inner], 0.1 * ndtri(LEVELS[inner]), atol=0.08)


def test_weights_decide_where_items_disagree() -> None:
    """Half of the items say 1, half say -1, of the same features: the point is that of the heavier half."""
    n = 400
    y = np.where(np.arange(n) % 2, 1.0, -1.0).astype(np.float32)
    zeros = np.zeros((n, len(GATED)), np.float32)
    for heavy in (1.0, -1.0):
        weight = np.where(y == heavy, 5.0, 1.0).astype(np.float32)
        model = BoostedTrees.fit(Items(np.zeros((n, N_FEATURES), np.float32), zeros, y, weight), iterations=20)
        assert model.trees.predict(np.zeros((1, N_FEATURES)))[0] == pytest.approx(heavy, abs=0.1)


def test_wild_answers_are_brought_back() -> None:
    data = made_items(400)
    wild = Items(data.x, data.offsets, np.where(data.x[:, 0] > 0, 900, -900).astype(np.float32), data.weight)
    model = BoostedTrees.fit(wild, iterations=20)
    assert np.abs(model.trees.predict(data.x)).max() <= REACH + 1e-6
    assert np.abs(model.errors).max() <= 2 * REACH


def test_same_seed_same_trees_other_seed_others() -> None:
    x = made_items(20, seed=1).x
    one, again, other = (BoostedTrees.fit(made_items(400), seed, iterations=5) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.trees.predict(x), again.trees.predict(x))
    np.testing.assert_array_equal(one.errors, again.errors)
    assert (one.errors != other.errors).any()


def test_the_support_acts_through_the_inputs(trained: BoostedTrees) -> None:
    queries = synthetic_curves(4, seed=1).truncate(6.0)
    low, high = synthetic_curves(6, seed=2), synthetic_curves(6, seed=3)
    assert (trained.adapt(low).forecast(queries, 20).mean != trained.adapt(high).forecast(queries, 20).mean).any()


def test_too_few_items_are_refused() -> None:
    with pytest.raises(DataError, match="at least 100 source items; got 99"):
        BoostedTrees.fit(made_items(99))
