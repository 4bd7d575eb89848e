"""What is kept for other models that are asked the same."""

from __future__ import annotations

import numpy as np
import pytest
from made_up import task

from metalcx.curves import PaddedCurves
from metalcx.forecasters import _requests
from metalcx.forecasters._expert_gate import ExpertGate
from metalcx.forecasters._memory import remembered, remembering

calls: list[float] = []


@remembered
def total(curves: PaddedCurves, times: np.ndarray) -> float:
    calls.append(float(curves.y.sum() + times.sum()))
    return calls[-1]


def curves(seed: int) -> PaddedCurves:
    return task("t", "f", seed, n=5, points=6).curves.padded()


def test_outside_nothing_is_kept() -> None:
    calls.clear()
    assert total(curves(0), np.ones(2)) == total(curves(0), np.ones(2))
    assert len(calls) == 2


def test_inside_equal_arguments_are_computed_once_and_others_anew() -> None:
    calls.clear()
    with remembering():
        first = total(curves(0), np.ones(2))
        assert total(curves(0), np.ones(2)) == first
        assert len(calls) == 1
        changed = curves(0).with_values(curves(0).y + 1e-9)
        total(changed, np.ones(2))
        total(curves(0), np.ones((2, 1)))
        total(curves(0), np.ones(2, dtype=np.float32))
        assert len(calls) == 4
    total(curves(0), np.ones(2))
    assert len(calls) == 5


def test_models_forecast_the_same_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made = task("t", "f", 0, n=30, points=12).curves
    support, queries = made.take(np.arange(6)), made.take(np.arange(6, 30)).truncate(4.0)
    apart = ExpertGate().adapt(support).forecast(queries, 12.0)
    counted = []
    inputs = _requests.gate_inputs
    monkeypatch.setattr(_requests, "gate_inputs", lambda a: counted.append(1) or inputs(a))
    with remembering():
        both = [ExpertGate().adapt(support).forecast(queries, 12.0) for _ in range(2)]
    assert len(counted) == 1
    for forecast in both:
        np.testing.assert_array_equal(forecast.values, apart.values)
