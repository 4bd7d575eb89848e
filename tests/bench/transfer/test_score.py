"""Scores of forecasters whose scores are known."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import pytest
from made_up import rising, task
from scipy.integrate import quad
from scipy.special import ndtr, ndtri
from strategies import SCORE, make

from metalcx.bench import crps
from metalcx.bench.transfer._score import CURVE_POINTS, CUTS, DRAWS, SUPPORT_SIZES, _remaining_times, score_task
from metalcx.curves import Curves
from metalcx.protocol import LEVELS, Forecast, resolve_at
from metalcx.transfer import PreparedTask, prepare


@dataclass(frozen=True)
class Oracle:
    """Knows how every run of a task goes on; errs by `bias`, and is as wide as `width`."""

    curves: Curves
    bias: float = 0.0
    width: float = 0.0
    asked: list[tuple[Curves, np.ndarray]] = field(default_factory=list)
    supports: list[list[object]] = field(default_factory=list)

    def adapt(self, support: Curves, *, steps: int | None = None, seed: int = 0) -> Self:
        self.supports.append(list(support.ids))
        return self

    def forecast(self, queries: Curves, at: Any) -> Forecast:
        times, scalar = resolve_at(queries, at)
        self.asked.append((queries, times))
        place = {run: i for i, run in enumerate(self.curves.ids)}
        truth = self.curves.take([place[i] for i in queries.ids]).padded().at(times)
        point = truth + self.bias
        return Forecast(SCORE, queries.ids, times, point[..., None] + self.width * ndtri(LEVELS), point, scalar)


@pytest.fixture(scope="module")
def fixed() -> PreparedTask:
    return task("t", "f", n=45, points=20)


@pytest.fixture(scope="module")
def ragged() -> PreparedTask:
    found = prepare(make(SCORE, rising(60, 40, 0, ragged=True)), "t", "nmtlc", "f")
    assert found is not None
    assert found.ragged
    return found


def test_who_knows_the_truth_makes_no_error(fixed: PreparedTask) -> None:
    rows = list(score_task(Oracle(fixed.curves), fixed, 0))
    assert len(rows) == DRAWS * len(SUPPORT_SIZES) * len(CUTS)
    for row in rows:
        assert (row["error"], row["tau"], row["end"], row["n"]) == (0, pytest.approx(1), "own", 25)
        assert row["crps_final"] == row["crps_curve"] == 0
        assert (row["cov50"], row["cov80"], row["cov95"]) == (1, 1, 1)
        assert row["seconds"] >= 0
    assert {(r["draw"], r["K"], r["cut"]) for r in rows} == {
        (d, k, c) for d in range(5) for k in (0, 2, 5, 10, 20) for c in (0.1, 0.2, 0.4)
    }


def test_a_known_bias_is_the_error(fixed: PreparedTask) -> None:
    for row in list(score_task(Oracle(fixed.curves, bias=-0.3 * fixed.scale), fixed, 0))[:6]:
        assert row["error"] == pytest.approx(0.3)
        assert row["tau"] == pytest.approx(1)
        # All mass on one point: the score is the absolute error.
        assert row["crps_final"] == pytest.approx(0.3, rel=1e-6)
        assert (row["cov50"], row["cov80"], row["cov95"]) == (0, 0, 0)


def test_coverage_counts_finals_inside_golden(fixed: PreparedTask) -> None:
    """One standard deviation off: inside the central 80 % (1.28) and 95 %, outside the central 50 % (0.67)."""
    row = next(score_task(Oracle(fixed.curves, bias=0.1, width=0.1), fixed, 0))
    assert (row["cov50"], row["cov80"], row["cov95"]) == (0, 1, 1)
    reverse = next(score_task(Oracle(fixed.curves, bias=-0.15, width=0.1), fixed, 0))
    assert (reverse["cov80"], reverse["cov95"]) == (0, 1)


def test_supports_are_nested_and_queries_stay(fixed: PreparedTask) -> None:
    oracle = Oracle(fixed.curves)
    list(score_task(oracle, fixed, 0))
    per_draw = [oracle.supports[4 * d : 4 * d + 4] for d in range(DRAWS)]  # none for K = 0
    asked = np.array([list(q.ids) for q, _ in oracle.asked]).reshape(DRAWS, -1, 25)
    for supports, queries in zip(per_draw, asked, strict=True):
        assert [len(s) for s in supports] == [2, 5, 10, 20]
        assert all(s == supports[-1][: len(s)] for s in supports)
        assert (queries == queries[0]).all()
        assert not set(queries[0]) & set(supports[-1])
    assert len({tuple(s[-1]) for s in per_draw}) == DRAWS
    other = Oracle(fixed.curves)
    next(score_task(other, fixed, 1))
    assert list(other.asked[0][0].ids) != list(oracle.asked[0][0].ids)


def test_a_forecaster_is_given_nothing_after_the_cut(fixed: PreparedTask) -> None:
    oracle = Oracle(fixed.curves)
    list(score_task(oracle, fixed, 0))
    seen = {0.1: 2, 0.2: 4, 0.4: 8}
    for i, (queries, times) in enumerate(oracle.asked):
        n = seen[CUTS[i % 3]]
        assert (queries.length == n).all()
        assert (queries.status == "running").all()
        assert times.shape == (25, CURVE_POINTS)
        assert (times[:, 0] > n).all()
        assert (times[:, -1] == 20).all()


def test_remaining_times_golden() -> None:
    curves = make(SCORE, [(np.arange(1.0, 21), np.zeros(20)), (np.array([1.0, 2, 5]), np.zeros(3))])
    np.testing.assert_array_equal(_remaining_times(curves, 0.1, 5), [[6, 9, 13, 16, 20], [5, 5, 5, 5, 5]])
    np.testing.assert_array_equal(_remaining_times(curves, 0.1, 1), [[20], [5]])


def test_the_final_alone(fixed: PreparedTask) -> None:
    oracle = Oracle(fixed.curves)
    row = next(score_task(oracle, fixed, 0, whole_curve=False))
    assert np.isnan(row["crps_curve"])
    assert oracle.asked[0][1].shape == (25, 1)


def test_ragged_tasks_are_also_asked_at_the_supports_median_end(ragged: PreparedTask) -> None:
    oracle = Oracle(ragged.curves)
    rows = list(score_task(oracle, ragged, 0))
    common = [r for r in rows if r["end"] == "common"]
    assert len(common) == DRAWS * 4 * len(CUTS)  # not without support
    assert len(rows) - len(common) == DRAWS * 5 * len(CUTS)
    place = {run: i for i, run in enumerate(ragged.curves.ids)}
    ends = [float(np.median(ragged.curves.t_last[[place[i] for i in s]])) for s in oracle.supports]
    single = [(q, t) for q, t in oracle.asked if t.shape[1] == 1]
    assert len(single) == sum(r["n"] >= 5 for r in common)
    assert {float(t[0, 0]) for _, t in single} <= set(ends)
    for queries, times in single:
        whole = ragged.curves.take([place[i] for i in queries.ids])
        assert (whole.t_last >= times[:, 0]).all()
        assert (queries.t_last < times[:, 0]).all()
    for row in common:
        if row["n"] >= 5:
            # The truth is that of the nearest point, at most half a step from the median.
            assert row["error"] < 0.2
        else:
            assert "error" not in row


def test_a_common_end_that_few_reach_has_no_score() -> None:
    """The two runs of the support are far longer than all queries: four of which get there."""
    rng = np.random.default_rng(0)
    parts = [(np.arange(1.0, n + 1), np.sort(rng.uniform(0, 1, n))) for n in [8] * 50]
    found = prepare(make(SCORE, parts), "t", "algoperf", "f")
    assert found is not None
    from metalcx.bench.transfer._score import _common_end
    from metalcx.transfer._tasks import draw

    d = draw(found, 20, (0,))
    long = make(
        SCORE, [(np.arange(1.0, 31), np.linspace(0, 1, 30)) if i in d.support[:2] else p for i, p in enumerate(parts)]
    )
    row = _common_end(Oracle(long), replace(found, curves=long), d, 2, 0.2)
    assert row["n"] == 0
    assert "error" not in row


@pytest.mark.parametrize(("mean", "sigma", "y"), [(0.0, 1.0, 0.0), (1.0, 0.5, 1.4), (-2.0, 3.0, 1.0), (0.0, 1.0, 6.0)])
def test_crps_equals_the_integral_of_a_normal(mean: float, sigma: float, y: float) -> None:
    """Integral of (F(x) - 1{x >= y})^2, the definition that the quantile form is not computed from."""
    below = quad(lambda x: ndtr((x - mean) / sigma) ** 2, mean - 12 * sigma, y)[0]
    above = quad(lambda x: (1 - ndtr((x - mean) / sigma)) ** 2, y, max(y, mean) + 12 * sigma)[0]
    values = (mean + sigma * ndtri(LEVELS))[None, None]
    forecast = Forecast(SCORE, np.array(["r"], dtype=object), np.ones((1, 1)), values, np.full((1, 1), mean))
    assert crps(forecast, np.array([[y]]))[0, 0] == pytest.approx(below + above, rel=0.015)


def test_crps_rewards_the_right_width() -> None:
    y = np.random.default_rng(0).normal(size=(2000, 1))
    ids = np.arange(2000).astype(object)

    def mean_crps(sigma: float) -> float:
        values = np.tile(sigma * ndtri(LEVELS), (2000, 1, 1))
        return float(crps(Forecast(SCORE, ids, np.ones((2000, 1)), values, np.zeros((2000, 1))), y).mean())

    assert mean_crps(1.0) < min(mean_crps(0.5), mean_crps(2.0))
    assert mean_crps(1.0) == pytest.approx(1 / np.sqrt(np.pi), rel=0.05)
