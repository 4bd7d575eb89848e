from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from metalcx.curves import Metric, Scaling

GOALS = st.sampled_from(["max", "min"])
# Not so small that dividing by a unit could underflow.
SIZES = st.just(0.0) | st.floats(1e-30, 1e9)
NUMBERS = st.lists(SIZES | SIZES.map(lambda y: -y), min_size=1, max_size=8)


@given(goal=GOALS, values=NUMBERS, unit=st.floats(1e-100, 1e100))
def test_inverts_to_the_last_bit_without_a_centre(goal: str, values: list[float], unit: float) -> None:
    y = np.array(values)
    scaling = Scaling.of(Metric("m", goal), unit=unit)  # type: ignore[arg-type]
    assert np.array_equal(scaling.inverse(scaling.forward(y)), y)


@given(goal=GOALS, values=NUMBERS, centre=st.floats(-1e9, 1e9), unit=st.floats(1e-6, 1e6))
def test_inverts_to_rounding_with_a_centre(goal: str, values: list[float], centre: float, unit: float) -> None:
    y = np.array(values)
    scaling = Scaling.of(Metric("m", goal), centre, unit)  # type: ignore[arg-type]
    largest = max(np.abs(y).max(), abs(centre))
    assert (np.abs(scaling.inverse(scaling.forward(y)) - y) <= 4e-16 * largest).all()


@given(unit=st.floats(1e-300, 1e300))
def test_unit_is_the_nearest_power_of_two(unit: float) -> None:
    rounded = Scaling.of(Metric("m", "max"), unit=unit).unit
    assert np.frexp(rounded)[0] == 0.5
    assert 2**-0.51 <= rounded / unit <= 2**0.51


def test_unusable_units_become_one() -> None:
    assert [Scaling.of(Metric("m", "max"), unit=u).unit for u in (0.0, -1.0, np.nan, np.inf)] == [1.0] * 4


def test_a_unit_near_the_largest_number_stays_a_number() -> None:
    assert Scaling.of(Metric("m", "max"), unit=1.5e308).unit == 2.0**1023


@given(values=NUMBERS, centre=st.floats(-10, 10), unit=st.floats(0.1, 10))
def test_forward_orients_and_mirrors(values: list[float], centre: float, unit: float) -> None:
    y = np.array(values)
    up = Scaling.of(Metric("m", "max"), centre, unit)
    down = Scaling.of(Metric("m", "min"), -centre, unit)
    assert np.array_equal(up.forward(y), down.forward(-y))


@given(goal=GOALS, values=NUMBERS)
def test_quantiles_ascend_under_either_goal(goal: str, values: list[float]) -> None:
    scaled = np.sort(np.array(values))[None]
    back = Scaling.of(Metric("m", goal), 3.0, 2.0).quantiles(scaled)  # type: ignore[arg-type]
    assert (np.diff(back, axis=-1) >= 0).all()
    assert back.shape == scaled.shape
