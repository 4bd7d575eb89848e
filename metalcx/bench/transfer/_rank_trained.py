"""The pairwise ranker in the transfer benchmark, whole and without each of its parts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from metalcx.bench._study import Study, Unit
from metalcx.bench.transfer._ode_trained import OdePools
from metalcx.forecasters._few_shot import InnerLoop
from metalcx.protocol import Forecaster

#: The whole, and what is changed of its `RankConfig` in each ablation.
WITHOUT: dict[str, dict[str, Any]] = {
    "rank-net": {},
    "rank-net-amortised": {},
    "rank-net-without-curve": {"curve": False},
    "rank-net-without-graph": {},
    "rank-net-without-config": {"config": False},
    "rank-net-without-task": {"task": False},
}
RANKERS = tuple(WITHOUT)

#: The weights of the whole, adapted without gradient steps; and that which reads no architectures.
AMORTISED, BLIND = "rank-net-amortised", "rank-net-without-graph"


def train_rank_net(unit: Unit, pools: OdePools, usable: npt.NDArray[np.bool_], study: Study) -> Forecaster:
    """Train a pairwise ranker without the families of its unit, on the episodes of the latent graph ODE."""
    from metalcx.forecasters._rank_network import RankConfig
    from metalcx.transfer import RankMetaConfig, TrainConfig
    from metalcx.transfer._rank_train import train_rank_net_on

    pool, encoder = pools.of(unit.forecaster)
    network = replace(RankConfig(), **WITHOUT[unit.forecaster])
    config = RankMetaConfig(network, train=TrainConfig(seed=unit.seed))
    whole = "rank-net" if unit.forecaster == AMORTISED else unit.forecaster
    name = f"{whole}-seed{unit.seed}-fold{unit.fold:02d}-of{study.folds or 0}.safetensors"
    read = None if unit.forecaster == BLIND else encoder
    model = train_rank_net_on(pool, pools.tasks, config, read, study.out / "models" / name, usable)
    return replace(model, inner=InnerLoop(candidates=(0,))) if unit.forecaster == AMORTISED else model
