"""The one-epoch rule ranks by the first value and by nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from strategies import LOSS, SCORE, make

from metalcx.forecasters import OneEpoch

T = np.arange(1.0, 11)


def walks(n: int, slope: float = 1.0, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    first = rng.normal(0, 1, (n, 1))
    end = slope * first + rng.normal(0, 0.3, (n, 1))
    return first + (end - first) * (T - 1) / 9 + 0.0


@pytest.mark.parametrize("metric", [SCORE, LOSS])
@pytest.mark.parametrize("k", [0, 1, 2, 5, 20])
@pytest.mark.parametrize("slope", [1.0, 0.0, -2.0])
def test_order_is_that_of_the_first_values(k: int, slope: float, metric) -> None:  # type: ignore[no-untyped-def]
    y = walks(60, slope) + 20.0
    curves = make(metric, [(T, row) for row in y])
    model = OneEpoch().adapt(curves.take(np.arange(k)))
    mean = metric.sign * model.forecast(curves.take(np.arange(20, 60)).truncate(6), 10.0).mean
    first = np.maximum(metric.sign * y[20:, 0], model.support.floor)  # below the floor all are alike
    order = np.argsort(first)
    np.testing.assert_array_equal(np.diff(mean[order]) > 0, np.diff(first[order]) > 0)


def test_line_through_the_support() -> None:
    support = make(SCORE, [([1, 5], [x, 2 * x + 1]) for x in (0.0, 1.0, 3.0)])
    fc = OneEpoch().adapt(support).forecast(make(SCORE, [([1, 2], [2.0, -50.0])], ["running"]), 5.0)
    np.testing.assert_allclose(fc.mean, 5.0)


def test_what_comes_later_changes_nothing() -> None:
    y = walks(30)
    curves = make(SCORE, [(T, row) for row in y])
    model = OneEpoch().adapt(curves.take(np.arange(10)))
    early, late = (model.forecast(curves.take(np.arange(10, 30)).truncate(c), 10.0) for c in (1, 9))
    np.testing.assert_array_equal(early.mean, late.mean)


def test_a_score_before_training_is_not_the_first_epoch() -> None:
    support = make(SCORE, [([0, 1, 5], [0.1, x, x]) for x in (0.2, 0.4, 0.6)])
    fc = OneEpoch().adapt(support).forecast(make(SCORE, [([0, 1, 2], [0.1, 0.3, 0.0])], ["running"]), 5.0)
    np.testing.assert_allclose(fc.mean, 0.3)
