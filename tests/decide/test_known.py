"""Runs as they stood at one time."""

from __future__ import annotations

import numpy as np
import pytest
from strategies import LOSS, make

from metalcx.decide._known import check_at, compared_at, going, incumbent_at, known_of, values_at
from metalcx.errors import DataError
from metalcx.forecasters import Baseline

T = np.arange(1.0, 6)
PARTS = [
    (T, np.array([5.0, 2.0, 3.0, 3.5, 1.0])),
    (T[:2], np.array([4.0, 2.5])),
    (T[:3], np.array([1.0, 0.5, np.inf])),
    (T[:4], np.array([4.0, 3.0, 2.9, 2.8])),
    (T[:1], np.array([4.5])),
    (T[:1], np.array([np.nan])),
]
CURVES = make(LOSS, PARTS, ["completed", "censored", "diverged", "running", "running", "running"], list("abcdef"))


def test_runs_are_seen_as_they_stood() -> None:
    known = known_of(CURVES)
    assert list(known.ids) == list("abcde")
    assert values_at(known, 2.5).tolist() == [2.5, 2.5, np.inf, 2.95, 4.5]
    assert values_at(known, 99.0).tolist() == known.final.tolist()
    assert (incumbent_at(known, 2.0), incumbent_at(known, 4.0), incumbent_at(known, 9.0)) == (2.0, 2.5, 1.0)
    assert incumbent_at(known.take([2, 3]), 2.0) is None
    assert going(known, 2.5).tolist() == [False, False, False, False, True]


def test_those_that_go_on_are_as_forecast() -> None:
    known, model = known_of(CURVES), Baseline("last")
    forecast = model.forecast(known.take(going(known, 2.5)), at=2.5)
    found = compared_at(known, 2.5, forecast)
    assert found.mean.tolist() == [2.5, 2.5, np.inf, 2.95, 4.5]
    assert np.ptp(found.values[[0, 1, 3]], axis=-1).max() == 0
    np.testing.assert_array_equal(found.values[4], forecast.values[0])
    assert found.t[:, 0].tolist() == [2.5, 2.0, 2.0, 2.5, 2.5]
    with pytest.raises(DataError, match="finite time"):
        check_at(float("nan"))
