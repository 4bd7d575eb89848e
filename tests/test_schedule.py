"""The learning rate rises over a tenth of a training and falls to nothing over the rest."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from metalcx._schedule import warmed_and_annealed
from metalcx.encoders import PretrainConfig
from metalcx.encoders._replay import optimiser_of, set_rate


def test_it_rises_and_falls():
    factor = np.array([warmed_and_annealed(share) for share in np.linspace(0, 1, 101)])
    assert (factor > 0).sum() == 100
    assert factor[0] == pytest.approx(0.01)
    assert factor[10] == 1
    assert factor[55] == pytest.approx(0.5)
    assert (np.diff(factor[:10]) > 0).all()
    assert (np.diff(factor[10:]) < 0).all()
    assert factor[-1] == pytest.approx(0, abs=1e-12)


def test_pre_training_follows_it_or_not():
    config = PretrainConfig(epochs=10, rate=0.5)
    rates = [config.rate_at(epoch) for epoch in range(10)]
    assert max(rates) < 0.5
    assert 0 < rates[-1] < rates[5] < rates[1]
    flat = PretrainConfig(epochs=10, rate=0.5, annealed=False)
    assert {flat.rate_at(epoch) for epoch in range(10)} == {0.5}


@pytest.mark.parametrize(
    "device",
    ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"))],
)
def test_a_rate_is_changed_in_place(device):
    weight = torch.nn.Linear(1, 1).to(device)
    optimiser = optimiser_of(weight, 0.1, 0.0, device)
    kept = optimiser.param_groups[0]["lr"]
    set_rate(optimiser, 0.01)
    assert float(optimiser.param_groups[0]["lr"]) == pytest.approx(0.01)
    if device == "cuda":
        assert optimiser.param_groups[0]["lr"] is kept, "a recorded step reads it there"
