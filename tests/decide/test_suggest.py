"""Suggestions: the most promising first, none twice, the same however candidates are ordered, and with reasons."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metalcx.decide import Choice, Evidence, expected_improvement, suggest
from metalcx.errors import DataError
from metalcx.transfer import Posterior


def belief(n: int = 30, seed: int = 0, order: np.ndarray | None = None) -> Posterior:
    random = np.random.default_rng(seed)
    prior, features = random.normal(size=n), random.normal(size=(n, 5)).astype(np.float32) / 3
    order = np.arange(n) if order is None else order
    return Posterior(prior[order], features[order], 0.2)


def test_expected_improvement_is_the_textbook_one():
    draws = 0.4 + 0.7 * np.random.default_rng(0).normal(size=1_000_000)
    said = expected_improvement(np.array([0.4]), np.array([0.7]), 1.0)
    assert said[0] == pytest.approx(np.maximum(draws - 1.0, 0).mean(), rel=0.01)
    assert expected_improvement(np.array([9.0]), np.array([1e-9]), 1.0)[0] == pytest.approx(8.0)


def test_before_any_result_the_highest_expectation_comes_first():
    flat = Posterior(np.array([0.1, 0.9, 0.5]), np.full((3, 1), 0.1, np.float32), 0.2)
    assert [choice.row for choice in suggest(flat, 3, explore=0.0)] == [1, 2, 0]


def test_no_candidate_is_suggested_twice_nor_two_that_are_alike():
    known = belief()
    known.tell(4, 1.0)
    alike = np.arange(30) // 2
    rows = [choice.row for choice in suggest(known, 30, alike=alike)]
    assert len(rows) == len(set(alike[rows])) == 14
    assert not set(rows) & {4, 5}


def test_only_those_allowed_are_suggested():
    allowed = np.arange(30) < 3
    assert sorted(choice.row for choice in suggest(belief(), 9, allowed=allowed)) == [0, 1, 2]


def test_exploring_goes_where_most_is_unknown():
    features = np.array([[0.1], [2.0]], np.float32)
    for share, row in ((0.0, 0), (1.0, 1)):
        choice = suggest(Posterior(np.array([3.0, 0.0]), features, 0.1), explore=share)[0]
        assert (choice.row, choice.explores) == (row, bool(share))


@given(st.permutations(range(30)))
def test_permuted_candidates_are_suggested_alike(order):
    order = np.array(order)
    plain, mixed = belief(), belief(order=order)
    for row, value in ((3, 0.2), (11, 0.7)):
        plain.tell(row, value)
        mixed.tell(int(np.flatnonzero(order == row)[0]), value)
    a = [choice.row for choice in suggest(plain, 5, seed=1)]
    b = [int(order[choice.row]) for choice in suggest(mixed, 5, seed=1, order=order)]
    assert a == b


def test_equals_go_by_the_order_that_is_given():
    same = np.zeros((4, 1), np.float32)
    assert suggest(Posterior(np.zeros(4), same, 1.0), explore=0.0)[0].row == 0
    assert suggest(Posterior(np.zeros(4), same, 1.0), explore=0.0, order=["c", "b", "a", "d"])[0].row == 2


def test_nothing_is_left():
    known = belief(2)
    known.tell(0, 1.0)
    known.tell(1, float("nan"))
    with pytest.raises(DataError, match="every candidate was tried or is running"):
        suggest(known)


@pytest.mark.parametrize("wrong", [{"n": 0}, {"explore": 1.5}])
def test_arguments_that_cannot_be(wrong):
    with pytest.raises(ValueError, match="n is at least 1"):
        suggest(belief(), **wrong)


def evidence(likeness: np.ndarray | None = None) -> Evidence:
    return Evidence(
        names=("depth", "width", "pools"),
        effect=np.array([0.5, 0.3, -0.4]),
        sure=np.array([True, False, True]),
        same_sign=np.array([1.0, 0.5, 0.75]),
        families=np.array([4, 4, 4]),
        value=np.array([[2.0, 2.0, 1.0], [0.0, 0.0, 0.0]]),
        sources=("cora", "cs"),
        elsewhere=np.array([[2.3263, -1.0], [np.nan, np.nan]]),
        likeness=likeness,
    )


def test_reasons_name_characteristics_results_and_doubt():
    said = evidence(np.array([0.1, 0.6])).why(Choice(0, 1.0, 0.5, 0.2, False))
    assert said[0] == (
        "strong elsewhere: high depth (+0.50, same sign on 4 of 4), but weak elsewhere: high pools (-0.40, same sign "
        "on 3 of 4)"
    )
    assert "highest on cora (best 1 %)" in said[1]
    assert said[2] == "on cs, which orders what was tried here most alike (tau 0.60), best 84 %"
    assert said[3] == "expected among the best 16 %, with four fifths between 5 % and 36 %"


def test_what_nothing_is_known_of_says_so():
    said = evidence().why(Choice(1, 0.0, 1.0, 0.0, True))
    assert said[0] == "not tried on any source dataset"
    assert said[1].startswith("chosen to explore; expected among the best 50 %")
