"""How runs stand: what is forecast is what the model says, what is over is known, probabilities add up."""

from __future__ import annotations

import numpy as np
import pytest
from spying import saturating
from strategies import SCORE, make

from metalcx import decide
from metalcx.curves import Curves
from metalcx.errors import DataError
from metalcx.forecasters import Baseline
from metalcx.reports._standing import comparable, past_from, stand


@pytest.fixture(scope="module")
def curves():
    whole = make(SCORE, saturating(), ids=[f"r{i}" for i in range(24)])
    return Curves.concat([whole.take(range(14)), whole.take(range(14, 24)).truncate(np.arange(3.0, 13.0))])


@pytest.fixture(scope="module")
def model(curves):
    return Baseline("med5").adapt(curves.finished())


@pytest.fixture(scope="module")
def standing(curves, model):
    return stand(curves, model, decide.StopPolicy(model), 20.0)


def test_running_runs_are_forecast_and_finished_ones_known(curves, model, standing):
    found = standing.ranking.forecast
    expected = model.forecast(curves.running(), at=20.0)
    np.testing.assert_allclose(found.mean[14:], expected.mean)
    np.testing.assert_allclose(found.values[14:], expected.values)
    np.testing.assert_array_equal(found.mean[:14], curves.final[:14])
    assert (np.ptp(found.values[:14], axis=-1) == 0).all()
    assert standing.incumbent == curves.best()


def test_probabilities_are_those_of_all_runs(standing):
    assert standing.prob_best.sum() == pytest.approx(1)
    # Both are counted over 4096 draws.
    np.testing.assert_allclose(standing.prob_best, standing.ranking.prob_best, atol=0.04)


def test_fans_go_from_the_last_point_to_the_time_of_comparison(curves, standing):
    running = curves.running()
    assert list(standing.fan.ids) == list(running.ids)
    assert (standing.fan.t[:, -1] == 20.0).all()
    assert (standing.fan.t[:, 0] > running.t_last).all()


def test_decisions_are_those_of_the_policy(curves, model, standing):
    expected = decide.StopPolicy(model, horizon=20.0).decide(curves)
    assert list(standing.decisions) == expected
    past = standing.past
    for d in expected:
        assert past[d.run][-1] == pytest.approx((d.t, d.probability))
        assert [t for t, _ in past[d.run]] == sorted({t for t, _ in past[d.run]})


def test_a_run_at_the_time_of_comparison_is_known(curves, model):
    standing = stand(curves, model, decide.StopPolicy(model), 8.0)
    assert set(standing.fan.ids) == {"r14", "r15", "r16", "r17", "r18"}
    assert standing.ranking.forecast.mean[20] == curves.padded().at(np.array([8.0]))[20, 0]
    finished = curves.take(range(14)).padded().at(np.array([8.0]))[:, 0]
    assert standing.ranking.forecast.mean[:14].tolist() == finished.tolist()
    assert standing.incumbent == finished.max() < curves.best()


def test_runs_of_which_nothing_is_known_are_left_out():
    t = np.arange(3.0)
    curves = make(SCORE, [(t, t), (t, t * np.nan), (t[:1], np.array([np.inf]))], ["completed", "running", "diverged"])
    assert list(comparable(curves).ids) == [0, 2]
    with pytest.raises(DataError, match="no run has a measured value"):
        comparable(curves.take([1]))


def test_a_log_gives_the_past_of_each_run():
    told = [("a", 1.0, 0.5), ("b", 1.0, float("nan")), ("a", 2.0, 0.25)]
    log = [decide.Decision(run, t, False, "because", p, 0.05, 0.9, 30.0, "y") for run, t, p in told]
    assert past_from(log) == {"a": [(1.0, 0.5), (2.0, 0.25)]}
