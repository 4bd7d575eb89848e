"""Effects within datasets, and the meta-analysis over them, against examples worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metalcx.transfer._effects import Effects, by_family, combined, effect


def column(*values: float) -> np.ndarray:
    return np.array(values)[:, None]


def test_three_datasets_that_differ():
    # Q = 8, its scale 200: variance between (8 - 2) / 200 = .03, so that all weights are 1 / (.01 + .03) = 25.
    found = combined(["x"], ["a", "b", "c"], column(0.1, 0.3, 0.5), column(0.1, 0.1, 0.1))
    assert found.between[0] == pytest.approx(0.03)
    assert found.mean[0] == pytest.approx(0.3)
    # Hartung & Knapp: 25 x .08 / (2 x 75) = .01333, and t(.975, 2) = 4.30265.
    assert found.high[0] - 0.3 == pytest.approx(4.30265 * np.sqrt(2 / 150), rel=1e-5)
    assert found.same_sign[0] == 1


def test_two_datasets_that_agree_within_their_errors():
    # Weights 4 and 1: mean .2, Q = .8 < 1, so that nothing is between; variance (.16 + .64) / 5 = .16.
    found = combined(["x"], ["a", "b"], column(0.0, 1.0), column(0.5, 1.0))
    assert found.between[0] == 0
    assert found.mean[0] == pytest.approx(0.2)
    assert found.low[0] == pytest.approx(0.2 - 12.7062 * 0.4, rel=1e-5)
    assert found.same_sign[0] == 0.5


def test_one_dataset_has_no_interval_and_none_no_effect():
    found = combined(["x", "y"], ["a"], np.array([[0.4, np.nan]]), np.array([[0.1, np.nan]]))
    assert found.mean[0] == pytest.approx(0.4)
    assert np.isnan([found.low[0], found.mean[1], found.same_sign[1]]).all()
    assert list(found.to_frame()["families"]) == [1, 0]


def test_an_effect_is_the_standardised_slope():
    random = np.random.default_rng(0)
    x = random.normal(size=(400, 2))
    z = 0.6 * x[:, 0] + 0.8 * random.normal(size=400)
    r, error = effect(np.column_stack([x, np.ones(400)]), z)
    np.testing.assert_allclose(r[:2], [np.corrcoef(x[:, i], z)[0, 1] for i in range(2)])
    assert np.isnan([r[2], error[2]]).all()
    assert error[0] == pytest.approx((1 - r[0] ** 2) / np.sqrt(399))


@given(st.floats(-3, 3), st.floats(0.1, 10))
def test_units_of_a_characteristic_do_not_matter(shift, scale):
    random = np.random.default_rng(1)
    x, z = random.normal(size=(30, 3)), random.normal(size=30)
    np.testing.assert_allclose(effect(scale * x + shift, z)[0], effect(x, z)[0], atol=1e-9)


def test_tasks_of_a_family_count_once():
    each, error = column(0.2, 0.4, -0.1), column(0.1, 0.3, 0.2)
    names, mean, spread = by_family(each, error, ["b", "b", "a"])
    assert names == ("a", "b")
    np.testing.assert_allclose(mean[:, 0], [-0.1, 0.3])
    np.testing.assert_allclose(spread[:, 0], [0.2, 0.2])


def test_effects_survive_a_file():
    each, error = np.array([[0.1, np.nan], [0.3, 0.2]]), np.array([[0.1, np.nan], [0.1, 0.2]])
    known = combined(["x", "y"], ["a", "b"], each, error)
    again = Effects.of_tensors(known.names, known.families, **known.tensors())
    np.testing.assert_array_equal(again.mean, known.mean)
    np.testing.assert_array_equal(again.each, known.each)
