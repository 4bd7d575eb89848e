"""The replay of a report is the replay of `metalcx replay`, at every threshold."""

from __future__ import annotations

import pytest
from spying import saturating
from strategies import SCORE, make

from metalcx import decide
from metalcx.forecasters import Baseline
from metalcx.reports._facts import saved_facts
from metalcx.reports._saved import ASKS, replay_finished


@pytest.fixture(scope="module")
def curves():
    return make(SCORE, saturating(), ids=[f"r{i}" for i in range(24)])


def test_every_threshold_is_replayed_as_the_command_does(curves):
    policy = decide.StopPolicy(Baseline("shift"), threshold=0.2)
    saved = replay_finished(curves, policy, orders=3)
    assert saved.thresholds == (0.01, 0.05, 0.1, 0.2)
    assert saved.thresholds[saved.chosen] == 0.2
    for threshold, row in zip(saved.thresholds, saved.rows(), strict=True):
        own = decide.StopPolicy(Baseline("shift"), threshold=threshold)
        expected = decide.summary([r.outcome for r in decide.replay(curves, own, orders=3, asks=ASKS)])
        assert {k: row[k] for k in expected} == pytest.approx(expected)


def test_bars_are_the_first_order(curves):
    saved = replay_finished(curves, decide.StopPolicy(Baseline("shift"), threshold=0.2), orders=2)
    facts = saved_facts(saved)
    assert sum(bar["spent"] for bar in facts["bars"]) == facts["spent"] == saved.first.spent
    assert {bar["run"] for bar in facts["bars"] if bar["stopped"]} == {f"r{i}" for i in saved.first.stopped}
    finals = [bar["final"] for bar in facts["bars"]]
    assert finals == sorted(finals, reverse=True)


def test_many_runs_are_drawn_from_and_few_say_nothing(curves):
    policy = decide.StopPolicy(Baseline("shift"))
    saved = replay_finished(curves, policy, orders=1, most_runs=12)
    assert (len(saved.first.recording), saved.finished) == (12, 24)
    assert replay_finished(curves.take(range(6)), policy) is None
