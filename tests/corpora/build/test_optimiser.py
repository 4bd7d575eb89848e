from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from metalcx.corpora.build._optimiser import SCHEDULES, StackedOptimiser, learning_rates

CONFIGS: list[dict[str, Any]] = [
    {"optimiser": "sgd", "momentum": 0.0, "weight_decay": 0.0},
    {"optimiser": "sgd", "momentum": 0.9, "weight_decay": 0.01},
    {"optimiser": "nesterov", "momentum": 0.9, "weight_decay": 0.001},
    {"optimiser": "adam", "weight_decay": 0.02},
    {"optimiser": "adamw", "weight_decay": 0.1},
    {"optimiser": "rmsprop", "weight_decay": 0.01},
    {"optimiser": "adam", "weight_decay": 0.0, "clip": 0.5},
    {"optimiser": "sgd", "momentum": 0.5, "weight_decay": 0.0, "clip": 0.1},
]


def reference(config: dict[str, Any], p: torch.nn.Parameter, rate: float) -> torch.optim.Optimizer:
    decay = config["weight_decay"]
    if config["optimiser"] in ("sgd", "nesterov"):
        nesterov = config["optimiser"] == "nesterov"
        return torch.optim.SGD([p], rate, momentum=config["momentum"], weight_decay=decay, nesterov=nesterov)
    if config["optimiser"] == "rmsprop":
        return torch.optim.RMSprop([p], rate, weight_decay=decay)
    kind = torch.optim.Adam if config["optimiser"] == "adam" else torch.optim.AdamW
    return kind([p], rate, weight_decay=decay)


def test_each_row_moves_as_torchs_own_optimiser_would_move_it() -> None:
    torch.manual_seed(0)
    start, target, rate = torch.randn(len(CONFIGS), 7), torch.randn(7), 0.03
    rates = torch.full((len(CONFIGS), 1), rate)
    stacked, ours = StackedOptimiser(CONFIGS, 7), start.clone()
    parameters = [torch.nn.Parameter(row.clone()) for row in start]
    optimisers = [reference(c, p, rate) for c, p in zip(CONFIGS, parameters, strict=True)]
    for _ in range(12):
        ours = stacked.step(ours, 4 * (ours - target) ** 3, rates)
        for config, p, optimiser in zip(CONFIGS, parameters, optimisers, strict=True):
            p.grad = 4 * (p.detach() - target) ** 3
            if "clip" in config:
                torch.nn.utils.clip_grad_norm_([p], config["clip"])
            optimiser.step()
    theirs = torch.stack([p.detach() for p in parameters])
    assert not torch.allclose(ours, start)
    torch.testing.assert_close(ours, theirs, rtol=2e-5, atol=2e-6)


def test_a_run_that_is_lost_takes_no_other_along() -> None:
    config = CONFIGS[3]
    stacked, alone = StackedOptimiser([config, config], 3), StackedOptimiser([config], 3)
    both, one = torch.ones(2, 3), torch.ones(1, 3)
    for _ in range(3):
        gradient = torch.stack([both[0], torch.full((3,), math.nan)])
        both = stacked.step(both, gradient, torch.full((2, 1), 0.1))
        one = alone.step(one, one, torch.full((1, 1), 0.1))
    assert torch.equal(both[0], one[0])
    assert both[1].isnan().all()


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedules_start_and_end_where_they_should(schedule: str) -> None:
    (rates,) = learning_rates([{"learning_rate": 0.4, "schedule": schedule}], 40)
    assert rates.max() == pytest.approx(0.4, rel=0.05)
    ends = {"constant": 1.0, "step": 0.01, "exponential": 0.01}
    assert rates[-1] / 0.4 == pytest.approx(ends.get(schedule, 0.0), rel=0.2, abs=0.01)
    late = rates[5:]
    assert (np.diff(late) <= 1e-9).all()
