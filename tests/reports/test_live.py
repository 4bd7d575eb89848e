"""The live view says what a fresh look at all curves says, and computes only what changed."""

from __future__ import annotations

import json

import numpy as np
import pytest
from spying import Spy, saturating
from strategies import SCORE, make

from metalcx import decide
from metalcx.curves import Curves
from metalcx.forecasters import Baseline
from metalcx.reports import Bulletin, LiveTask
from metalcx.reports._standing import stand


def at_moment(clock: int) -> Curves:
    """Twelve runs, each of which began some steps after the one before."""
    whole = make(SCORE, saturating(12), ids=[f"r{i}" for i in range(12)])
    ends = clock - 2.0 * np.arange(12)
    return whole.take(ends >= 1).truncate(ends[ends >= 1])


def test_it_says_what_a_fresh_look_says():
    live = LiveTask(Baseline("med5"), horizon=20.0, most_support=100)
    for clock in (4, 5, 20, 24, 30, 37):
        curves = at_moment(clock)
        found = live.stand(curves)
        model = Baseline("med5").adapt(curves.finished())
        expected = stand(curves, model, decide.StopPolicy(model), 20.0)
        np.testing.assert_allclose(found.fan.values, expected.fan.values)
        np.testing.assert_allclose(found.prob_best, expected.prob_best)
        # NaN differs from itself; its words do not.
        assert list(map(str, found.decisions)) == list(map(str, expected.decisions))


def test_only_runs_with_new_points_are_forecast():
    spy = Spy()
    live = LiveTask(spy, horizon=20.0)
    live.stand(at_moment(30))
    spy.seen.clear()
    live.stand(at_moment(30))
    asked = [list(queries.ids) for _, queries in spy.seen]
    assert asked[0] == []
    moved = at_moment(30)
    one = moved.take([len(moved) - 1])
    further = make(SCORE, saturating(12), ids=[f"r{i}" for i in range(12)])
    longer = further.take([list(further.ids).index(one.ids[0])]).truncate(one.t_last + 1)
    spy.seen.clear()
    live.stand(Curves.concat([moved.take(range(len(moved) - 1)), longer]))
    assert list(spy.seen[0][1].ids) == list(one.ids)


def test_another_finished_run_is_adapted_to():
    live = LiveTask(Baseline("med5"), horizon=20.0)
    live.stand(at_moment(21))
    assert dict(live.origin.support) == {"completed": 1}
    live.stand(at_moment(25))
    assert dict(live.origin.support) == {"completed": 3}


def test_the_past_of_a_run_is_what_was_said_of_it_and_stays_small():
    live = LiveTask(Baseline("shift"), horizon=2000.0, startup=1)
    t = np.arange(1.0, 2001)
    done = make(SCORE, [(t, 1 - 1 / t)], ids=["done"])
    going = make(SCORE, [(t, 1 - 1.1 / t)], ids=["going"])
    for clock in range(10, 300, 3):
        found = live.stand(Curves.concat([done, going.truncate(float(clock))]))
    past = found.past["going"]
    assert len(past) <= 40
    assert past[-1] == (298.0, found.decisions[0].probability)
    assert [t for t, _ in past] == sorted({t for t, _ in past})
    # A log that was cut: what was said of later points is void.
    found = live.stand(Curves.concat([done, going.truncate(20.0)]))
    assert found.past["going"][-1][0] == 20.0
    # A run that is gone is forgotten.
    assert live.stand(done).past == {}


def test_nothing_measured_and_no_time_to_compare_at():
    live = LiveTask(Baseline("med5"))
    assert live.stand(make(SCORE, [])) is None
    assert live.stand(at_moment(5)) is None
    assert live.stand(at_moment(21)).at == 20.0


@pytest.fixture
def told():
    live = LiveTask(Baseline("med5"), horizon=20.0)
    bulletin = Bulletin("t", "logs", 1.0)
    bulletin.publish(live.stand(at_moment(24)), live, "now", [])
    return live, bulletin


def test_a_page_is_told_only_the_curves_that_changed(told):
    live, bulletin = told
    first = bulletin.since("", 0)
    json.dumps(first, allow_nan=False)
    assert set(first["curves"]) == {row["run"] for row in first["runs"]} == set(at_moment(24).ids)
    assert bulletin.since(first["epoch"], first["version"])["same"]
    moved = Curves.concat([at_moment(24).take(range(11)), at_moment(25).take([11])])
    bulletin.publish(live.stand(moved), live, "now", ["a note"])
    news = bulletin.since(first["epoch"], first["version"])
    assert set(news["curves"]) == {"r11"}
    assert len(news["runs"]) == 12
    assert news["notes"] == ["a note"]


def test_a_page_of_another_server_is_told_everything(told):
    _, bulletin = told
    whole = set(bulletin.since("", 0)["curves"])
    assert set(bulletin.since("another", 1)["curves"]) == whole
    assert set(bulletin.since(bulletin.epoch, 99)["curves"]) == whole


def test_before_there_is_anything_a_page_is_told_so():
    live, bulletin = LiveTask(Baseline("med5"), horizon=20.0), Bulletin("t", "logs", 1.0)
    assert "head" not in bulletin.since("", 0)
    bulletin.publish(None, live, "now", ["no logs yet"])
    assert bulletin.since("", 0)["head"] is None
    assert bulletin.since("", 0)["notes"] == ["no logs yet"]
