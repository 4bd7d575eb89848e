from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metalcx.corpora import _duplicates as module
from metalcx.corpora import duplicated, first_of_identical
from metalcx.curves import Curves, Metric
from metalcx.errors import DataError

LOSS = Metric("loss", "min")


def curves_of(rows):
    """Curves from lists of (t, value)."""
    flat = [point for row in rows for point in row]
    return Curves(
        metric=LOSS,
        ids=np.arange(len(rows)).astype(object),
        offsets=np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64),
        t=np.array([p[0] for p in flat], dtype=float),
        values={"loss": np.array([p[1] for p in flat], dtype=float)},
        status=np.array(["completed"] * len(rows), dtype=object),
    )


def naive(rows):
    keys = [tuple((t, "nan" if v != v else v) for t, v in row) for row in rows]
    return [keys.index(key) for key in keys]


row = st.lists(st.sampled_from([0.0, -0.0, 1.0, 2.0, np.nan, np.inf]), max_size=3).map(
    lambda values: [(float(i), v) for i, v in enumerate(values)]
)


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(row, min_size=1, max_size=12))
def test_as_comparing_each_with_each(rows):
    assert first_of_identical(curves_of(rows)).tolist() == naive(rows)


def test_times_count_and_so_do_length_and_order():
    rows = [[(0, 1), (1, 2)], [(0, 1), (2, 2)], [(0, 2), (1, 1)], [(0, 1)], [(0, 1), (1, 2)], [(0, 1), (1, 2), (2, 3)]]
    assert first_of_identical(curves_of(rows)).tolist() == [0, 1, 2, 3, 0, 5]
    assert duplicated(curves_of(rows)).tolist() == [False] * 4 + [True, False]


def test_a_collision_of_hashes_is_no_duplicate(monkeypatch):
    monkeypatch.setattr(module, "_mix", np.zeros_like)
    rows = [[(0, 1), (1, 2)], [(0, 1), (1, 3)], [(0, 1), (1, 2)]]
    assert first_of_identical(curves_of(rows)).tolist() == [0, 1, 0]


def test_further_metrics_may_be_asked_to_agree():
    curves = curves_of([[(0, 1)], [(0, 1)]])
    curves = replace(curves, values={**curves.values, "acc": np.array([0.1, 0.2])})
    assert duplicated(curves).tolist() == [False, True]
    assert duplicated(curves, ["loss", "acc"]).tolist() == [False, False]
    with pytest.raises(DataError, match=r"no values \['f1'\]"):
        duplicated(curves, ["f1"])
