from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from strategies import ACCURACY, LOSS, SCORE

from metalcx.curves import Metric
from metalcx.decide import rank
from metalcx.errors import DataError
from metalcx.forecasters._base import gaussian
from metalcx.protocol import Forecast


def normal(mean: list[float], sigma: list[float], metric: Metric = SCORE) -> Forecast:
    """Normal forecasts, one time each."""
    m, s = np.array(mean), np.array(sigma)
    ids = np.array([f"run {i}" for i in range(len(m))], dtype=object)
    return Forecast(metric, ids, np.full((len(m), 1), 9.0), gaussian(m, s)[:, None], m[:, None], True)


def test_two_normals_are_compared_as_theory_says() -> None:
    ranking = rank(normal([1.0, 0.0], [1.0, 2.0]))
    expected = norm.cdf(1 / np.sqrt(5))
    assert ranking.prob_best == pytest.approx([expected, 1 - expected], abs=0.02)
    assert list(ranking.order) == [0, 1]


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(0.01, 3)), min_size=1, max_size=6), st.integers(1, 7))
def test_probabilities_add_up(runs: list[tuple[float, float]], k: int) -> None:
    ranking = rank(normal([m for m, _ in runs], [s for _, s in runs]))
    assert ranking.prob_best.sum() == pytest.approx(1)
    assert ranking.prob_top(k).sum() == pytest.approx(min(k, len(runs)))
    assert (ranking.prob_top(k) >= ranking.prob_best - 1e-12).all()


def test_a_mirrored_metric_ranks_alike() -> None:
    forecast = normal([0.3, 0.5, 0.4], [0.1, 0.05, 0.2], ACCURACY)
    one, other = rank(forecast), rank(forecast.mirrored())
    assert list(one.order) == list(other.order) == [1, 2, 0]
    assert one.prob_best == pytest.approx(other.prob_best, abs=0.03)
    assert one.expected_improvement(0.45) == pytest.approx(other.expected_improvement(-0.45))
    assert one.prob_beats(0.45) == pytest.approx(other.prob_beats(-0.45))


def test_equals_share_the_first_place() -> None:
    ranking = rank(normal([0.5, 0.5, 0.1], [0.0, 0.0, 0.0]))
    assert ranking.prob_best == pytest.approx([0.5, 0.5, 0.0], abs=0.03)


def test_a_diverged_run_is_last() -> None:
    forecast = normal([0.5, 0.0], [0.1, 0.0], LOSS)
    forecast.values[1], forecast.point[1] = np.inf, np.inf
    ranking = rank(forecast)
    assert list(ranking.order) == [0, 1]
    assert ranking.prob_best == pytest.approx([1, 0])
    assert ranking.expected_improvement(0.6)[1] == 0
    assert ranking.to_frame(incumbent=0.6)["run"].tolist() == ["run 0", "run 1"]


def test_expected_improvement_of_a_normal() -> None:
    mean, sigma, best = 0.3, 0.5, 0.6
    z = (mean - best) / sigma
    expected = sigma * (z * norm.cdf(z) + norm.pdf(z))
    assert rank(normal([mean], [sigma])).expected_improvement(best)[0] == pytest.approx(expected, rel=0.02)


def test_the_top_set_is_as_sure_as_asked() -> None:
    ranking = rank(normal([3.0, 2.0, 1.0, -9.0], [1.0, 1.0, 1.0, 0.1]))
    sizes = [len(ranking.top_set(1, c)) for c in (0.5, 0.9, 0.999)]
    assert sizes[0] == 1
    assert sizes == sorted(sizes)
    assert sizes[-1] == 3
    assert set(ranking.top_set(2, 0.9)) <= {"run 0", "run 1", "run 2"}
    assert len(ranking.top_set(9, 0.9)) == 4
    certain = rank(normal([2.0, 1.0], [0.0, 0.0]))
    assert list(certain.top_set(1, 0.99)) == ["run 0"]


def test_the_frame_is_ordered_and_has_what_was_asked() -> None:
    frame = rank(normal([1.0, 2.0], [1.0, 1.0])).to_frame(k=2, incumbent=1.5)
    assert frame["run"].tolist() == ["run 1", "run 0"]
    assert frame["rank"].tolist() == [1, 2]
    assert {"prob_best", "prob_top2", "prob_beats", "expected_improvement"} <= set(frame)


def test_what_cannot_be_ranked_is_refused() -> None:
    forecast = normal([1.0], [1.0])
    two = Forecast(SCORE, forecast.ids, np.ones((1, 2)), forecast.values.repeat(2, 1), forecast.point.repeat(2, 1))
    with pytest.raises(DataError, match="one time each"):
        rank(two)
    with pytest.raises(DataError, match="at least 1"):
        rank(forecast).prob_top(0)
    with pytest.raises(DataError, match="between 0 and 1"):
        rank(forecast).top_set(1, 1.0)
