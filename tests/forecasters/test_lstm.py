"""The recurrent control: it keeps the rules, and goes on with curves like those of its support."""

from __future__ import annotations

import numpy as np
from strategies import SCORE, make

from metalcx.forecasters import LSTM, Baseline
from metalcx.forecasters._lstm import LSTMConfig
from metalcx.testing import check_forecaster


def rising(n, seed):
    rng = np.random.default_rng(seed)
    t = np.arange(1.0, 41)
    rate, top = rng.uniform(0.03, 0.2, n), rng.uniform(0.6, 0.9, n)
    return make(SCORE, [(t, a * (1 - np.exp(-r * t))) for a, r in zip(top, rate, strict=True)])


def test_rules():
    check_forecaster(LSTM(LSTMConfig(hidden=8, epochs=20)))


def test_it_goes_on_with_curves_like_those_it_has_seen():
    support, whole = rising(20, 0), rising(30, 1)
    queries = whole.truncate(8.0)
    found = LSTM().adapt(support).forecast(queries, 40.0)
    error = np.abs(found.mean - whole.final).mean()
    last = np.abs(Baseline("last").adapt(support).forecast(queries, 40.0).mean - whole.final).mean()
    assert error < 0.4 * last
    low, high = found.quantile(0.05), found.quantile(0.95)
    assert ((low <= whole.final) & (whole.final <= high)).mean() > 0.5


def test_same_seed_same_forecast_and_the_global_generator_is_left_alone():
    import torch

    support, queries = rising(6, 0), rising(3, 1).truncate(8.0)
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    one, same, other = (LSTM().adapt(support, seed=s, steps=5).forecast(queries, 40.0).mean for s in (1, 1, 2))
    assert torch.equal(torch.rand(1), expected)
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
