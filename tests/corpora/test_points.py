from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metalcx.corpora import Points
from metalcx.corpora._points import whole_runs


def points_of(run):
    run = np.array(run, dtype=np.int32)
    return Points(run, np.arange(len(run), dtype=float), {"y": np.arange(len(run), dtype=np.float32)})


@settings(max_examples=60, deadline=None)
@given(lengths=st.lists(st.integers(1, 9), max_size=12), size=st.integers(1, 20), data=st.data())
def test_runs_stay_whole_and_nothing_is_lost(lengths, size, data):
    whole = points_of(np.repeat(np.arange(len(lengths)), lengths))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    edges = [0, *cuts, len(whole)]
    parts = [whole.slice(a, b) for a, b in pairwise(edges)]
    pieces = list(whole_runs(iter(parts), size))
    if not lengths:
        assert pieces == []
        return
    np.testing.assert_array_equal(np.concatenate([p.values["y"] for p in pieces]), whole.values["y"])
    assert sum(len(p.runs) for p in pieces) == len(lengths)
    assert all(len(p) for p in pieces)
    np.testing.assert_array_equal(np.concatenate([np.diff(p.offsets) for p in pieces]), lengths)


def test_one_long_run_is_joined_once(monkeypatch):
    """Joining at each piece would be quadratic in the length of the run."""
    joined = []
    inner = Points.concat
    monkeypatch.setattr(Points, "concat", classmethod(lambda cls, parts: joined.append(len(parts)) or inner(parts)))
    pieces = list(whole_runs((points_of([0] * 10) for _ in range(50)), 20))
    assert [len(p) for p in pieces] == [500]
    assert joined == [50]


def test_no_points():
    empty = points_of([])
    assert len(empty) == 0
    assert empty.offsets.tolist() == [0]
    assert empty.runs.tolist() == []


@pytest.mark.parametrize("keep", [[True, False, True], [False] * 3])
def test_where(keep):
    kept = points_of([0, 0, 1]).where(np.array(keep))
    assert kept.run.tolist() == [r for r, k in zip([0, 0, 1], keep, strict=True) if k]
