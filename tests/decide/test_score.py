from __future__ import annotations

import numpy as np
import pytest
from recorded import flat, noisy, table
from strategies import LOSS

from metalcx.curves import Curves
from metalcx.decide import ForecastScore, LastValue
from metalcx.decide._rank import rank
from metalcx.decide._score import grown
from metalcx.forecasters import Baseline


def part(curves: Curves, t: float) -> Curves:
    return curves.truncate(t)


def test_the_last_value_is_oriented_and_a_diverged_run_cannot_go_on() -> None:
    runs = table([[1, 2], [3, np.inf], [np.nan, 1]], LOSS)
    assert list(LastValue()(runs, runs.take([]), 9)) == [-2, -np.inf, -1]


def test_until_enough_have_finished_the_last_value_is_compared() -> None:
    finished, runs = flat([1, 2, 3, 4]), part(flat([5, 6]), 3)
    score = ForecastScore(Baseline("shift"), startup=5)
    assert list(score(runs, finished, 9)) == [5, 6]


def test_expected_and_best_are_the_forecasts_own() -> None:
    curves = noisy(12, 9)
    finished, runs = curves.take(range(6)), part(curves.take(range(6, 12)), 3)
    forecast = Baseline("shift").adapt(finished).forecast(runs, at=9)
    expected = ForecastScore(Baseline("shift"), growth=0)(runs, finished, 9)
    assert list(expected) == list(forecast.mean)
    best = ForecastScore(Baseline("shift"), by="prob_best", growth=0)(runs, finished, 9)
    assert best == pytest.approx(rank(forecast).prob_best, abs=1 / 4096)


def test_equals_in_probability_are_told_apart_by_the_expected_value() -> None:
    finished = flat([0, 1, 2, 3, 4])
    runs = part(flat([3.0, 1.0, 2.0, 9.0]), 3)
    score = ForecastScore(Baseline("shift"), by="prob_best")(runs, finished, 9)
    assert list(np.argsort(-score)) == [3, 0, 2, 1]


def test_a_mirrored_metric_scores_alike() -> None:
    curves = noisy(12, 9)
    for by in ("expected", "prob_best"):
        score = ForecastScore(Baseline("med5"), by=by)  # type: ignore[arg-type]
        one = score(part(curves.take(range(6, 12)), 3), curves.take(range(6)), 9)
        mirrored = curves.mirrored()
        other = score(part(mirrored.take(range(6, 12)), 3), mirrored.take(range(6)), 9)
        assert list(np.argsort(one)) == list(np.argsort(other))


def test_the_model_is_adapted_again_once_enough_have_finished() -> None:
    score = ForecastScore(Baseline("shift"), startup=5, growth=0.2)
    assert [grown(n, startup=5, growth=0.2) for n in range(5, 12)] == [5, 6, 6, 8, 8, 10, 10]
    assert [grown(n, startup=5, growth=0) for n in (5, 6, 99)] == [5, 6, 99]
    curves = noisy(20, 9)
    runs = part(curves.take(range(12, 20)), 3)
    fresh = ForecastScore(Baseline("shift"))(runs, curves.take(range(11)), 9)
    for n in range(5, 11):
        score(runs, curves.take(range(n)), 9)
    assert list(score(runs, curves.take(range(11)), 9)) == list(fresh)


def test_arguments_out_of_range_are_refused() -> None:
    for options in ({"by": "luck"}, {"startup": 0}, {"growth": -1}):
        with pytest.raises(ValueError):
            ForecastScore(Baseline(), **options)  # type: ignore[arg-type]
