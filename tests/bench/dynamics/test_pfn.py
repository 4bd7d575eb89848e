"""LC-PFN: the published prior and normaliser, what may look at what, and that it learns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from metalcx.bench.dynamics._pfn import LENGTH, PFN, Normaliser, PFNSize, kept_pfn, pfn_forecast, train_pfn
from metalcx.bench.dynamics._prior import draw, noiseless

from .made_nets import made_fold

SMALL = PFNSize(width=16, layers=1, heads=2, bars=20, rate=1e-2)


def test_drawn_curves_rise_within_the_unit_interval_but_for_noise():
    rng = np.random.default_rng(0)
    y = draw(400, 50, rng)
    assert y.shape == (400, 50)
    smooth = np.median(np.abs(np.diff(y, axis=1)))
    assert smooth < 0.1
    assert ((y > -0.5) & (y < 1.5)).mean() > 0.99
    assert (y[:, -10:].mean(1) > y[:, 0]).mean() > 0.9
    np.testing.assert_array_equal(draw(3, 9, np.random.default_rng(1)), draw(3, 9, np.random.default_rng(1)))


def test_about_a_fifth_of_the_sums_are_curves():
    y = noiseless(4000, 100, np.random.default_rng(0))
    kept = (y[:, -1] > y[:, 0]) & (y >= 0).all(1) & (y <= 1).all(1)
    assert kept.mean() == pytest.approx(0.2, abs=0.03)


@given(st.booleans(), st.sampled_from([(0.0, np.inf), (0.0, 1.0), (-np.inf, np.inf)]), st.floats(0.05, 0.95))
def test_the_normaliser_inverts_and_stays_inside(mirrored, bounds, y):
    n = Normaliser(*bounds, soft=(0.1, 0.9), mirrored=mirrored)
    there = n.there(np.array([y]))
    assert 0 < there[0] < 1
    np.testing.assert_allclose(n.back(there), y, rtol=1e-6)


def test_the_normaliser_is_the_published_one():
    # lcpfn.utils.pfn_normalize(lb=0, ub=inf, soft_lb=.2, soft_ub=1, minimize=True) by hand, at .6: half way of the
    # sigmoid from its value at 0.
    at_0 = 1 / (1 + np.exp(1.5))
    a = 1 / (1 - at_0)
    expected = 1 - (a * 0.5 + 1 - a)
    assert Normaliser(0.0, np.inf, (0.2, 1.0), True).there(np.array([0.6]))[0] == pytest.approx(expected)


def test_what_is_asked_looks_at_what_is_seen_and_nothing_else():
    torch.manual_seed(0)
    model = PFN(SMALL).eval()
    seen = torch.rand(3, 5)
    told = model(torch.arange(1.0, 21), seen)
    assert told.shape == (3, 15, 20)
    alone = model(torch.cat([torch.arange(1.0, 6), torch.tensor([12.0])]), seen[:1])
    torch.testing.assert_close(alone[0, 0], told[0, 6], rtol=1e-4, atol=1e-5)
    # Points seen are a set: in another order they say the same.
    order = torch.tensor([4, 2, 0, 1, 3])
    shuffled = model(torch.cat([torch.arange(1.0, 6)[order], torch.arange(6.0, 21)]), seen[:, order])
    torch.testing.assert_close(shuffled, told, rtol=1e-4, atol=1e-5)


def test_the_median_halves_the_mass():
    torch.manual_seed(0)
    model = PFN(SMALL).eval()
    torch.nn.init.zeros_(model.out[-1].weight)
    with torch.no_grad():
        model.out[-1].bias.copy_(torch.log(torch.arange(1.0, 21)))
    median = model.median(torch.arange(1.0, 9), torch.rand(2, 4))
    share = torch.arange(1.0, 21) / 210
    bar = int((share.cumsum(0) < 0.5).sum())
    rest = (0.5 - share[:bar].sum()) / share[bar]
    torch.testing.assert_close(median, ((bar + rest) / 20).expand(2, 4))


def test_it_learns_and_is_kept(tmp_path):
    model, seconds = kept_pfn(tmp_path, 1600, size=SMALL)
    assert seconds > 0
    y = torch.from_numpy(draw(100, LENGTH, np.random.default_rng(5))).float()
    fresh = PFN(SMALL)
    fresh.borders.copy_(model.borders)
    with torch.no_grad():
        assert model.loss(y, 20) < fresh.loss(y, 20) - 0.1
    again, _ = kept_pfn(tmp_path, 1600, size=SMALL)
    torch.testing.assert_close(again.state_dict(), model.state_dict())
    stamp = (tmp_path / "lc-pfn.safetensors").stat().st_mtime_ns
    kept_pfn(tmp_path, 320, size=SMALL)
    assert (tmp_path / "lc-pfn.safetensors").stat().st_mtime_ns != stamp, "another size is trained anew"


def test_a_forecast_reads_nothing_behind_the_cut():
    fold, (model, _) = made_fold(), train_pfn(320, 0, SMALL)
    told = pfn_forecast(model, fold, fold.test)
    y = fold.y.copy()
    y[fold.test, fold.seen :] = 0.1
    np.testing.assert_array_equal(pfn_forecast(model, replace(fold, y=y), fold.test), told)
    assert (told >= 0).all()
