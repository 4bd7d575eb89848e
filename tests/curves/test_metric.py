from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metalcx.curves import Metric
from metalcx.errors import DataError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("val_loss:min:0", Metric("val_loss", "min", 0.0)),
        ("accuracy:max:0:1", Metric("accuracy", "max", 0.0, 1.0)),
        ("accuracy:max::1", Metric("accuracy", "max", None, 1.0)),
        ("score:max", Metric("score", "max")),
        ("a:min:-1e3:2.5e-1", Metric("a", "min", -1000.0, 0.25)),
    ],
)
def test_parse(text: str, expected: Metric) -> None:
    assert Metric.parse(text) == expected


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("val_loss", "'val_loss' has no goal; write name:goal"),
        ("val_loss:lower", "goal 'lower' is unknown; declare 'max' or 'min'"),
        ("val_loss:MIN", "goal 'MIN' is unknown"),
        (":min", "needs a name"),
        ("loss:min:zero", "a bound is not a number"),
        ("loss:min:nan", "lower bound nan is not finite"),
        ("loss:min:0:inf", "upper bound inf is not finite"),
        ("acc:max:1:0", "lower bound 1.0 is not below upper bound 0.0; leave one out"),
        ("acc:max:1:1", "lower bound 1.0 is not below upper bound 1.0"),
        ("acc:max:0:1:2", "too many parts"),
    ],
)
def test_parse_names_what_is_wrong(text: str, told: str) -> None:
    with pytest.raises(DataError, match=told):
        Metric.parse(text)


def test_bound_that_is_no_number_is_refused() -> None:
    with pytest.raises(DataError, match="upper bound '1' is not a number"):
        Metric("a", "max", upper="1")  # type: ignore[arg-type]


def test_error_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="goal"):
        Metric("a", "best")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("metric", "worst", "sign"),
    [
        (Metric("a", "max", 0.0, 1.0), 0.0, 1.0),
        (Metric("a", "max"), -math.inf, 1.0),
        (Metric("a", "min", 0.0), math.inf, -1.0),
        (Metric("a", "min", 0.0, 5.0), 5.0, -1.0),
    ],
)
def test_worst_and_sign(metric: Metric, worst: float, sign: float) -> None:
    assert (metric.worst, metric.sign) == (worst, sign)


bounds = st.none() | st.floats(-1e3, 1e3)


@given(goal=st.sampled_from(["max", "min"]), lower=bounds, width=st.none() | st.floats(0.1, 10))
def test_mirrored_twice_is_itself_and_once_negates(goal: str, lower: float | None, width: float | None) -> None:
    upper = None if width is None else (lower or 0.0) + width
    metric = Metric("m", goal, lower, upper, unit="nat")  # type: ignore[arg-type]
    other = metric.mirrored()
    assert other.mirrored() == metric
    assert other.worst == -metric.worst
    assert other.sign == -metric.sign
    values = np.linspace(-2e3, 2e3, 41)
    assert np.array_equal(other.clip(-values), -metric.clip(values))
    assert np.array_equal(other.outside(-values), metric.outside(values))


@given(goal=st.sampled_from(["max", "min"]), lower=bounds, width=st.none() | st.floats(0.1, 10))
def test_as_text_it_is_what_parse_reads(goal: str, lower: float | None, width: float | None) -> None:
    metric = Metric("m", goal, lower, None if width is None else (lower or 0.0) + width)  # type: ignore[arg-type]
    assert Metric.parse(str(metric)) == metric


def test_as_text_with_a_unit() -> None:
    assert str(Metric("val_loss", "min", 0, unit="nat")) == "val_loss:min:0.0 (nat)"


def test_outside_forgives_single_precision_only() -> None:
    metric = Metric("accuracy", "max", 0.0, 1.0)
    values = [0.0, 1.0, float(np.nextafter(np.float32(1), np.float32(2))), 1.00001, -0.001, np.nan, np.inf, -np.inf]
    assert metric.outside(values).tolist() == [False, False, False, True, True, False, False, False]
    percent = Metric("accuracy", "max", 0.0, 100.0)
    assert percent.outside([100.00005, 100.001]).tolist() == [False, True]


def test_clip_without_bounds_changes_nothing() -> None:
    values = np.array([-np.inf, 0.0, np.nan])
    assert Metric("m", "max").clip(values) is values


def test_to_dict_round_trip() -> None:
    metric = Metric("val_loss", "min", 0.0, None, "nat")
    assert Metric(**metric.to_dict()) == metric
