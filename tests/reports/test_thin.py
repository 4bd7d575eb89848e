"""Thinned curves draw the same picture: ends and extremes stay, nothing is made up."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from strategies import SCORE, make, ragged

from metalcx.reports._thin import thinned


@given(ragged(), st.integers(4, 12))
def test_what_is_drawn_was_measured_and_ends_stay(curves, most):
    drawn = thinned(curves, most)
    assert list(drawn.ids) == list(curves.ids)
    assert np.isfinite(drawn.y).all()
    for whole, few in zip(curves, drawn, strict=True):
        finite = np.isfinite(whole.y)
        points = list(zip(whole.t[finite], whole.y[finite], strict=True))
        kept = list(zip(few.t, few.y, strict=True))
        assert len(kept) <= max(most, 4)
        assert set(kept) <= set(points)
        assert (kept[:1], kept[-1:]) == (points[:1], points[-1:])
        if len(points) <= most:
            assert kept == points


@given(st.integers(0, 2**32 - 1), st.integers(10, 400))
def test_no_spike_is_lost(seed, points):
    rng = np.random.default_rng(seed)
    curves = make(SCORE, [(np.arange(points, dtype=float), rng.normal(size=points)) for _ in range(3)])
    drawn = thinned(curves, 20)
    for whole, few in zip(curves, drawn, strict=True):
        assert (few.y.min(), few.y.max()) == (whole.y.min(), whole.y.max())
        assert len(few.t) <= 20


def test_no_runs_at_all():
    assert len(thinned(make(SCORE, []))) == 0
