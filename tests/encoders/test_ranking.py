"""Pairs, the hinge between them, and Kendall's tau as scipy has it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau

from metalcx.encoders._ranking import FEW, hinge, kendall, pairs_among


@given(st.integers(1, 12), st.integers(1, 80))
def test_pairs_are_all_or_as_many_as_may_be(n, most):
    first, second = pairs_among(n, most, np.random.default_rng(0))
    assert len(first) == min(most, n * (n - 1) // 2)
    assert ((first >= 0) & (second < n)).all()
    if most >= 66:
        assert len(set(zip(first, second, strict=True))) == n * (n - 1) // 2


def test_the_hinge_asks_for_a_margin():
    scores = torch.tensor([0.0, 0.2, 1.0], requires_grad=True)
    values, pairs = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([[0, 1, 2], [1, 2, 0]])
    # 1 over 0 is .3 short; the others are ahead by more than the margin. Upside down, all are.
    assert float(hinge(scores, values, pairs, 0.5).detach()) == pytest.approx(0.3 / 3)
    assert float(hinge(scores, -values, pairs, 0.5).detach()) == pytest.approx((0.7 + 1.3 + 1.5) / 3)
    for nothing in (torch.zeros(3), torch.full((3,), torch.nan)):
        none = hinge(scores, nothing, pairs, 0.5)
        none.backward()
        assert float(none.detach()) == 0.0
    assert scores.grad is not None
    assert (scores.grad == 0).all()


def test_what_is_in_no_pair_has_no_say():
    scores, pairs = torch.tensor([0.0, 0.2, torch.nan]), torch.tensor([[0, 1, 0], [1, 2, 0]])
    values = torch.tensor([1.0, 2.0, torch.nan])
    assert float(hinge(scores, values, pairs, 0.5)) == pytest.approx(0.3)


def test_each_of_several_has_a_loss_of_its_own():
    random = torch.Generator().manual_seed(0)
    scores, values = torch.randn(2, 3, 8, generator=random), torch.randn(2, 3, 8, generator=random)
    pairs = torch.randint(0, 8, (2, 3, 2, 20), generator=random)
    apart = [[hinge(scores[i, j], values[i, j], pairs[i, j], 0.5) for j in range(3)] for i in range(2)]
    np.testing.assert_allclose(hinge(scores, values, pairs, 0.5), apart, rtol=1e-6)


@given(st.lists(st.tuples(st.integers(-2, 2), st.integers(-2, 2)), min_size=1, max_size=9))
def test_tau_is_that_of_scipy(pairs):
    a, b = np.array(pairs, dtype=float).T
    expected = kendalltau(a, b).statistic if len(a) > 1 else np.nan
    found = kendall(*(torch.from_numpy(np.stack([of, of[::-1]])) for of in (a, b)))
    np.testing.assert_allclose(found, np.nan_to_num(expected, nan=-1.0), atol=1e-12)


def test_tau_of_very_many_is_the_same():
    random = np.random.default_rng(0)
    a, b = random.normal(size=(2, 2, FEW + 1)).round(1)
    expected = [kendalltau(*pair).statistic for pair in zip(a, b, strict=True)]
    np.testing.assert_allclose(kendall(torch.from_numpy(a), torch.from_numpy(b)), expected, atol=1e-12)
    assert kendall(torch.zeros(1, FEW + 1), torch.from_numpy(b[:1])).tolist() == [-1.0]
