"""Calibration and comparison are honest: nothing is judged by a model that was adapted to it or its group."""

from __future__ import annotations

import numpy as np
import pytest
from spying import Spy, saturating
from strategies import LOSS, SCORE, make

from metalcx.forecasters import Baseline
from metalcx.forecasters._base import floor_from
from metalcx.protocol import LEVELS
from metalcx.reports._left_out import CUTS, floor_of, leave_out


@pytest.fixture(scope="module")
def curves():
    groups = np.array([f"g{i // 2}" for i in range(24)], dtype=object)
    return make(SCORE, saturating(), ids=[f"r{i}" for i in range(24)], group=groups)


def test_no_run_is_judged_by_a_model_that_knew_its_group(curves):
    spy = Spy()
    found = leave_out(curves, spy, "spy")
    assert len(spy.seen) == 5
    asked = []
    for known, queries in spy.seen:
        assert known is not None
        assert not set(known.group) & set(queries.group)
        assert (queries.status == "running").all()
        asked += list(queries.group)
    assert len(asked) == 24 * len(CUTS)
    assert list(found.ids) == list(curves.ids)


def test_only_the_beginning_is_shown(curves):
    spy = Spy()
    leave_out(curves, spy, "spy")
    for _, queries in spy.seen:
        cut = np.array([i for i, _ in queries.ids])
        assert (queries.length == np.round(np.array(CUTS) * 20)[cut]).all()


def test_errors_and_coverage_are_what_they_say(curves):
    found = leave_out(curves, Baseline("med5"), "mine")
    assert found.names == ("mine", "last value", "best so far", "affine", "med5")
    np.testing.assert_allclose(found.values[0], found.values[4])
    np.testing.assert_allclose(found.final, curves.final)
    seen = np.round(np.array(CUTS) * 20).astype(int)
    last = curves.padded().y[:, seen - 1].T
    np.testing.assert_allclose(found.point[1], last)
    np.testing.assert_allclose(found.errors()[1], np.abs(last - curves.final))
    low, high = found.values[0, 0, :, list(LEVELS).index(0.1)], found.values[0, 0, :, list(LEVELS).index(0.9)]
    inside = ((low <= curves.final) & (curves.final <= high)).mean()
    assert found.coverage()[0, 0, 1] == pytest.approx(inside)
    assert (np.diff(found.shares()) >= 0).all()


def test_gains_are_over_the_mean_error_with_an_interval(curves):
    found = leave_out(curves, Baseline("med5"), "mine")
    gain = found.gains()
    error = found.errors().mean((1, 2))
    np.testing.assert_allclose(gain[:, 0], 1 - error[0] / error)
    assert gain[4].tolist() == pytest.approx([0, 0, 0])
    assert (gain[:, 1] <= gain[:, 0]).all()
    assert (gain[:, 0] <= gain[:, 2]).all()


def test_mirrored_curves_are_judged_alike(curves):
    one, other = (leave_out(c, Baseline("med5"), "mine") for c in (curves, curves.mirrored()))
    np.testing.assert_allclose(one.errors(), other.errors())
    np.testing.assert_allclose(one.gains(), other.gains())


def test_runs_that_ended_early_are_known_but_not_judged(curves):
    status = ["diverged" if i == 3 else "censored" if i == 4 else "completed" for i in range(24)]
    parts = [(run.t, np.where(run.t == 20, np.inf, run.y) if i == 3 else run.y) for i, run in enumerate(curves)]
    spy = Spy()
    found = leave_out(make(SCORE, parts, status), spy, "spy")
    assert not {3, 4} & set(found.ids)
    assert any({3, 4} & set(known.ids) for known, _ in spy.seen)


def test_at_most_so_many_are_adapted_to(curves):
    spy = Spy()
    found = leave_out(curves, spy, "spy", most=7)
    assert {len(known) for known, _ in spy.seen} == {7}
    assert found.support == 7


def test_too_few_runs_say_nothing():
    assert leave_out(make(SCORE, saturating(5)), Spy(), "spy") is None
    assert leave_out(make(SCORE, saturating(24, 3)), Spy(), "spy") is None


def test_the_floor_bounds_what_one_run_can_do():
    t = np.arange(3.0)
    curves = make(LOSS, [(t, np.array([2.0, 1.0, 0.5])), (t, np.array([2.0, 1.0, 1e9]))])
    assert floor_of(curves) == pytest.approx(-2 - 3 * 1.5)
    assert floor_from(-curves.padded().first, -0.5) == floor_of(curves)
