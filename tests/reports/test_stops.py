from __future__ import annotations

import numpy as np
import pytest
from strategies import ACCURACY, make

from metalcx.errors import DataError
from metalcx.reports import plot_stops


def test_stopped_runs_are_drawn_whole_and_marked_where_it_was() -> None:
    t = np.arange(1.0, 9)
    curves = make(ACCURACY, [(t, f * (1 - 1 / t)) for f in (0.5, 0.7, 0.9)], ids=["a", "b", "c"])
    ax = plot_stops(curves, {"a": 3.0, "c": 5.0}, kept="b")
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["b, kept", "a, stopped at 3", "c, stopped at 5"]
    marks = [line for line in ax.lines if line.get_marker() == "x"]
    assert [float(line.get_xdata()[0]) for line in marks] == [3.0, 5.0]
    assert ax.get_ylabel() == "accuracy"
    again = plot_stops(curves, {}, ax=ax)
    assert again is ax
    assert plot_stops(curves, {}).get_legend() is None
    with pytest.raises(DataError, match="no run 'x'"):
        plot_stops(curves, {"x": 1.0})


def test_what_cannot_be_is_not_shown() -> None:
    t = np.arange(1.0, 5)
    curves = make(ACCURACY, [(t, np.array([0.1, 0.5, 0.8, 0.9])), (t, np.array([0.1, 0.4, 0.7, 0.95]))], ids=["a", "b"])
    low, high = plot_stops(curves, {"b": 1.0}, kept="a").get_ylim()
    assert -0.1 < low < 0.1
    assert 0.95 < high < 1.1
