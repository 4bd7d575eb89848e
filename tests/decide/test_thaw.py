from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import SCORE, make

from metalcx.decide import PrefixForecasts, Recording, StopPolicy, thaw
from metalcx.forecasters import Baseline


def noisy(n: int, points: int, seed: int) -> Recording:
    rng = np.random.default_rng(seed)
    t = np.arange(1.0, points + 1)
    final = rng.uniform(0.3, 0.9, n)
    y = final[:, None] - 0.4 * t ** -rng.uniform(0.6, 1.6, n)[:, None] + 0.01 * rng.normal(size=(n, points))
    length = rng.integers(points // 2, points + 1, n)
    return Recording.of(make(SCORE, [(t[:size], row[:size]) for row, size in zip(y, length, strict=True)]), 5)


def flat(values: list[float], points: int = 4) -> Recording:
    return Recording.of(make(SCORE, [(np.arange(1.0, points + 1), np.full(points, v)) for v in values]))


def test_a_task_worked_out_by_hand() -> None:
    # Runs stand at their values. Run 0 finishes first; all others take a point; the best of those, 3, finishes; nobody
    # is better: 2 runs of 4 points and 4 of 1.
    forecasts = PrefixForecasts(Baseline("last"), flat([1.0, 3.0, 2.0, 5.0, 4.5, 0.0]))
    found = thaw(forecasts, np.arange(6), [0.2], stages=(2,), promising=0.5)[0.2]
    assert (found.spent, found.regret, found.wrong) == (2 * 4 + 4, 0.0, (4, 1, 2))
    # With the first two of the order instead, 3.0 is to be beaten: 5.0 goes on to its end, and 4.5 is beaten then.
    found = thaw(forecasts, np.arange(6), [0.2], stages=(2,), promising=0.0)[0.2]
    assert (found.spent, found.regret, found.wrong) == (3 * 4 + 3, 0.0, (4, 2))
    # Two workers take 4.5 along, and both finish at once.
    found = thaw(forecasts, np.arange(6), [0.2], stages=(2,), promising=0.0, workers=2)[0.2]
    assert (found.spent, found.regret, found.wrong) == (4 * 4 + 2, 0.0, (2,))


@given(st.integers(0, 5), st.sampled_from([1, 3]), st.sampled_from([1.0, 2.0]))
@settings(max_examples=8, deadline=None)
def test_a_lower_threshold_costs_more_and_loses_less(seed: int, workers: int, width: float) -> None:
    recording = noisy(14, 10, seed)
    forecasts = PrefixForecasts(Baseline("shift"), recording)
    order = np.random.default_rng(seed).permutation(14)
    found = thaw(forecasts, order, [0.0, 0.05, 0.3, 1.1], stages=(4, 8), width=width, workers=workers)
    assert list(found) == [1.1, 0.3, 0.05, 0.0]
    outcomes = list(found.values())
    assert [o.spent for o in outcomes] == sorted(o.spent for o in outcomes)
    assert [o.regret for o in outcomes] == sorted((o.regret for o in outcomes), reverse=True)
    assert (outcomes[-1].speed_up, outcomes[-1].regret, outcomes[-1].wrong) == (1.0, 0.0, ())
    # One threshold alone is met by the same run of events.
    assert thaw(forecasts, order, [0.3], stages=(4, 8), width=width, workers=workers)[0.3] == found[0.3]


def test_all_have_diverged_so_far() -> None:
    t = np.arange(1.0, 5)
    parts = [(t, np.array([1.0, 1, 1, np.inf]))] * 2 + [(t, np.full(4, v)) for v in (2.0, 3.0)]
    recording = Recording.of(make(SCORE, parts, ["diverged"] * 2 + ["completed"] * 2))
    found = thaw(PrefixForecasts(Baseline("last"), recording), np.arange(4), [0.2], stages=(2,), promising=0.0)[0.2]
    assert found.keeps_best


def test_a_wider_forecast_is_less_sure() -> None:
    forecasts = PrefixForecasts(Baseline("shift"), noisy(12, 8, 1))
    one, two = (forecasts.beats((0, 3, 5, 7), 0.85, width) for width in (1.0, 2.0))
    low = one < 0.5
    assert (two[low] >= one[low]).all()
    assert (two[low] > one[low]).any()
    with pytest.raises(ValueError, match="width"):
        StopPolicy(Baseline("shift"), width=0.0)
