from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded import flat, noisy, table
from strategies import LOSS

from metalcx.curves import Curves
from metalcx.decide import BestPlace, ForecastScore, LastValue
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


def test_the_better_place_of_two_scores_counts() -> None:
    @dataclass(frozen=True)
    class Fixed:
        values: tuple[float, ...]
        name: str = "fixed"
        learns: bool = False

        def __call__(self, runs: Curves, finished: Curves, horizon: float) -> np.ndarray:
            return np.array(self.values)

    runs = flat([0.0] * 5)
    lost = -np.inf
    both = BestPlace((Fixed((5, 4, 3, 2, lost)), Fixed((2, 1, 3, 9, lost))))
    found = both(runs, runs.take([]), 9)
    # The first of each, of whom the last is third by the other and comes first; then the second of each.
    assert list(np.argsort(-found, kind="stable")) == [0, 3, 2, 1, 4]
    assert found[4] == lost
    equals = BestPlace((Fixed((1, 1, 1, 1, 1)),))(runs, runs.take([]), 9)
    assert len(set(equals)) == 1
    assert both.name == "the better place by fixed or fixed"
    with pytest.raises(ValueError, match="at least one score"):
        BestPlace(())


@given(seed=st.integers(0, 2**16))
def test_one_score_alone_keeps_its_order(seed: int) -> None:
    runs = noisy(9, 5, seed)
    one = LastValue()(runs, runs.take([]), 9)
    best = BestPlace((LastValue(),))(runs, runs.take([]), 9)
    assert list(np.argsort(-one, kind="stable")) == list(np.argsort(-best, kind="stable"))
