"""A ranking is drawn as it is: best uppermost, intervals as forecast, what is known as a square."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import metalcx as mx
from metalcx import decide
from metalcx.errors import DataError
from metalcx.forecasters import Baseline
from metalcx.reports import plot_ranking


@pytest.fixture
def ranking():
    rows = [(f"r{i}", s, 1 - 0.8 * np.exp(-s / (3 + i))) for i in range(9) for s in range(1, 31)]
    truth = mx.Curves.from_frame(pd.DataFrame(rows, columns=["run", "t", "value"]), mx.Metric("y", "max"))
    seen = mx.Curves.concat([truth.take(range(6)), truth.take([6, 7, 8]).truncate(6)])
    return decide.rank(Baseline("med5").adapt(seen.finished()).forecast(seen, at=30.0))


def test_the_best_is_uppermost_with_its_probability(ranking):
    ax = plot_ranking(ranking, incumbent=0.9)
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert [name.split(" (")[0] for name in names] == [str(run) for run in ranking.forecast.ids[ranking.order]]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]
    assert f"({100 * ranking.prob_best.max():.0f} %)" in " ".join(names)


def test_intervals_are_the_quantiles_and_marks_tell_what_is_known(ranking):
    ax = plot_ranking(ranking, most=9)
    wide = np.array([[p[0][0], p[1][0]] for p in ax.collections[0].get_segments()])
    np.testing.assert_allclose(wide, ranking.forecast.quantile([0.05, 0.95])[ranking.order])
    marks = {line.get_label(): len(line.get_xdata()) for line in ax.lines}
    assert (marks["forecast"], marks["known"]) == (3, 6)


def test_given_axes_are_used_and_few_are_drawn(ranking):
    ax = Figure().subplots()
    assert plot_ranking(ranking, most=2, ax=ax) is ax
    assert len(ax.get_yticks()) == 2


def test_a_diverged_run_draws_without_complaint(ranking, recwarn):
    values = ranking.forecast.values.copy()
    values[0] = -np.inf
    point = ranking.forecast.point.copy()
    point[0] = -np.inf
    broken = decide.rank(
        mx.Forecast(ranking.forecast.metric, ranking.forecast.ids, ranking.forecast.t, values, point, True)
    )
    plot_ranking(broken).figure.savefig(io.BytesIO(), format="png")
    assert [str(w.message) for w in recwarn] == []


def test_nothing_to_draw_is_said(ranking):
    with pytest.raises(DataError, match="no run to draw"):
        plot_ranking(decide.rank(ranking.forecast.take(np.zeros(0, dtype=np.int64))))
