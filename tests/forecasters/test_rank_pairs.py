"""Pairs and what is learned from them: which there are, values worked out by hand, ties, and lines to values."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from metalcx.forecasters._rank_calibration import PRIOR, USUAL, Calibration
from metalcx.forecasters._rank_pairs import SUREST, by_owner, lead, pair_losses, pairs_within, targets


@given(st.lists(st.integers(0, 3), max_size=12))
def test_pairs_are_all_of_one_owner_each_once(owner):
    own = np.array(owner, dtype=np.int64)
    pairs = pairs_within(own)
    expected = {(i, j) for i in range(len(own)) for j in range(i + 1, len(own)) if own[i] == own[j]}
    assert {(int(i), int(j)) for i, j in pairs.T} == expected
    assert pairs.shape == (2, len(expected))


def test_the_loss_of_three_runs_worked_out_by_hand():
    """Scores 1, 0, 0 of anchors 1 that end at 3, 5 and 5: two pairs in the wrong order, one tie.

    sigmoid(1 - 0) is the probability of what did not happen, twice: log(1 + e) each; the tie at even odds: log 2.
    """
    score, anchor, outcome = torch.tensor([1.0, 0.0, 0.0]), torch.ones(3), torch.tensor([3.0, 5.0, 5.0])
    pairs = torch.from_numpy(pairs_within(np.zeros(3, dtype=np.int64)))
    wanted = targets(outcome, pairs)
    assert wanted.tolist() == [0.0, 0.0, 0.5]
    losses = pair_losses(lead(score, anchor, pairs, torch.zeros(())), wanted)
    np.testing.assert_allclose(losses, [1.3132617, 1.3132617, 0.6931472], rtol=1e-6)
    assert by_owner(losses, torch.tensor([0, 0, 2]), 3).tolist() == pytest.approx([1.3132617, 0.0, 0.6931472])


def test_a_lead_counts_in_anchors_of_the_pair():
    pairs = torch.tensor([[0, 1, 0], [1, 0, 0]])
    found = lead(torch.tensor([7.0, 2.0]), torch.tensor([1.0, 7.0]), pairs, torch.tensor(np.log(2.0)))
    # sqrt((1 + 49) / 2) = 5, so that 5 in value is one anchor, and twice as sure.
    np.testing.assert_allclose(found, [2.0, -2.0, 0.0], rtol=1e-6)
    far = lead(torch.tensor([1e9, 0.0]), torch.tensor([1.0, 1.0]), pairs, torch.zeros(()))
    assert far.tolist() == [SUREST, -SUREST, 0.0]


def test_what_is_certain_is_as_sure_as_can_be():
    pairs = torch.tensor([[0, 0, 1, 2], [1, 2, 3, 3]])
    score, anchor = torch.tensor([0.5, 0.5, 0.4, -torch.inf]), torch.zeros(4)
    assert lead(score, anchor, pairs, torch.zeros(())).tolist() == [0.0, SUREST, SUREST, SUREST]
    both_worst = lead(torch.tensor([-torch.inf] * 2), torch.zeros(2), torch.tensor([[0], [1]]), torch.zeros(()))
    assert both_worst.tolist() == [0.0]


def test_a_line_of_many_runs_is_that_of_least_squares_and_of_few_the_score_itself():
    rng = np.random.default_rng(0)
    for n, tolerance in ((4000, 0.02), (4, None)):
        score = rng.normal(size=(2, n))
        score *= 3.0
        outcome = 0.7 * score + np.array([[0.5], [-0.2]]) + 0.3 * rng.normal(size=(2, n))
        line = Calibration.fitted(np.array([1.0, 3.0]), score, np.ones((2, n)), outcome, 0.0)
        if tolerance is None:
            assert (np.abs(line.lift) < 0.5).all()
            assert (line.slope > 0.7).all()
            assert (line.sigma > 0.8).all()
        else:
            np.testing.assert_allclose(line.slope, 0.7, atol=tolerance)
            np.testing.assert_allclose(line.lift, [0.5, -0.2], atol=tolerance)
            np.testing.assert_allclose(line.sigma, 0.3, atol=0.03)
    point, sigma = line(np.array([1.0]), np.array([2.0]), np.array([0.0]), np.array([2.0]))
    assert point[0] == pytest.approx(line.slope.mean() + 2.0 * line.lift.mean()), "halfway between two cuts"
    assert sigma[0] == pytest.approx(2.0 * line.sigma.mean())


def test_a_line_never_falls():
    score = np.linspace(-5, 5, 40)[None]
    line = Calibration.fitted(np.ones(1), score, np.ones((1, 40)), -3.0 * score, 0.0)
    assert line.slope.tolist() == [0.0]


def test_errors_are_those_of_lines_without_the_run():
    """Two runs, missed by 1 and by -1 at one place: each is told the other's miss, shrunk by the prior of one run."""
    score, outcome = np.zeros((1, 2)), np.array([[1.0, -1.0]])
    line = Calibration.fitted(np.ones(1), score, np.ones((1, 2)), outcome, 0.0)
    wrong = 1.0 + 1.0 / (1.0 + PRIOR)
    assert line.sigma[0] == pytest.approx(np.sqrt((2 * wrong**2 + PRIOR * USUAL**2) / (2 + PRIOR)))
    assert (line.lift[0], line.slope[0]) == (0.0, 1.0)
