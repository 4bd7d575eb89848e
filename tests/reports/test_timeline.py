"""Timelines show each run where it began and ended, and each decision where it was taken."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure
from strategies import SCORE, make

from metalcx import decide
from metalcx.errors import DataError
from metalcx.forecasters import Baseline
from metalcx.reports import plot_decisions, plot_timeline


@pytest.fixture(scope="module")
def replay():
    rng = np.random.default_rng(0)
    t = np.arange(1.0, 16)
    parts = [(t, level - 0.5 * np.exp(-t / 3) + 0.003 * rng.normal(size=15)) for level in rng.uniform(0.5, 0.9, 20)]
    policy = decide.StopPolicy(Baseline("shift"), threshold=0.3)
    return decide.replay(make(SCORE, parts), policy, orders=1, workers=2)[0]


def test_a_line_a_run_from_its_start_to_its_end(replay):
    ax = plot_timeline(replay)
    began = {e.run: e.clock for e in replay.events if e.what == "started"}
    drawn = sorted((int(s[0][1]), s[0][0], s[1][0]) for c in ax.collections for s in c.get_segments())
    expected = [
        (place, began[run], next(e.clock for e in replay.events if e.run == run and e.what != "started"))
        for place, run in enumerate(began)
    ]
    assert drawn == expected
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == [f"finished: {len(replay.kept)}", f"stopped: {len(replay.stopped)}"]
    assert len(replay.stopped) > 0
    assert "2 runs side by side" in ax.get_xlabel()


def decision(run, t, probability, stop=False):
    return decide.Decision(run, t, stop, "because", probability, 0.05, 0.9, 30.0, "y")


def test_decisions_make_a_line_a_run_and_stops_are_crossed():
    told = [decision("a", 1, 0.5), decision("b", 1, 0.2), decision("a", 2, 0.6), decision("b", 2, 0.0, True)]
    ax = plot_decisions([*told, decision("c", 3, float("nan"))])
    lines = {line.get_label(): line.get_xydata().tolist() for line in ax.lines}
    assert lines["_a"] == [[1, 0.5], [2, 0.6]]
    assert lines["stop"] == [[2, 0.001]]
    assert "_c" not in lines
    assert "threshold 0.05" in lines


def test_given_axes_are_used(replay):
    first, second = Figure().subplots(1, 2)
    assert plot_timeline(replay, ax=first) is first
    assert plot_decisions([decision("a", 1, 0.5)], ax=second) is second


def test_nothing_to_draw_is_said():
    with pytest.raises(DataError, match="no decision has a probability"):
        plot_decisions([decision("a", 1, float("nan"))])
