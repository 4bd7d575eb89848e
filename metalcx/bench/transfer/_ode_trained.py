"""The latent graph ODE in the transfer benchmark, whole and without each of its parts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from metalcx.bench._study import Progress, Study, Unit
from metalcx.forecasters._few_shot import MIN_SUPPORT, InnerLoop
from metalcx.protocol import Forecaster
from metalcx.transfer._tasks import PreparedTask

if TYPE_CHECKING:
    from metalcx.encoders import GraphEncoder
    from metalcx.transfer._ode_pool import OdePool

#: What reads architectures: it ships with metalcx, and learned without labels.
ENCODER = "metalcx-encoder"

#: The whole, and what is changed of its `OdeConfig` in each ablation.
WITHOUT: dict[str, dict[str, Any]] = {
    "graph-ode": {},
    "graph-ode-amortised": {},
    "graph-ode-without-process": {},
    "graph-ode-gradient-steps": {"support": False},
    "graph-ode-without-graph": {},
    "graph-ode-untrained-encoder": {},
    "graph-ode-with-config": {"config": True},
    "graph-ode-without-support": {"support": False},
    "graph-ode-without-ode": {"dynamics": "direct"},
    "graph-ode-without-further-metrics": {"companions": False},
    "graph-ode-without-gate": {"experts": False},
}
ODES = tuple(WITHOUT)

#: Those that share another's weights, and whose they are: only adaptation differs.
SHARED = {
    "graph-ode-amortised": "graph-ode",
    "graph-ode-without-process": "graph-ode",
    "graph-ode-gradient-steps": "graph-ode-without-support",
}

#: How: without gradient steps; without what explains the rest; by gradient steps alone, from as few runs as can be held
#: out from each other.
ADAPTED: dict[str, dict[str, Any]] = {
    "graph-ode-amortised": {"inner": InnerLoop(candidates=(0,))},
    "graph-ode-without-process": {"beside": False},
    "graph-ode-gradient-steps": {"inner": InnerLoop(min_support=MIN_SUPPORT)},
}

#: Those that read architectures otherwise.
BLIND, UNTRAINED = "graph-ode-without-graph", "graph-ode-untrained-encoder"


class OdePools:
    """Episodes with what is known of their runs, those of each encoder read once a process.

    Args:
        folder: Where pools are kept.
        tasks: All tasks.
    """

    def __init__(self, folder: Path, tasks: list[PreparedTask]) -> None:
        self.folder, self.tasks = folder, tasks
        self._known: dict[bool, tuple[OdePool, GraphEncoder]] = {}

    def of(self, forecaster: str, workers: int = 1, progress: Progress | None = None) -> tuple[OdePool, GraphEncoder]:
        """The pool of a forecaster, drawn if it is missing, and what read its architectures."""
        from metalcx.forecasters._traits import Architectures
        from metalcx.transfer._ode_pool import build_ode_pool
        from metalcx.transfer._ode_train import OdeMetaConfig

        fresh = forecaster == UNTRAINED
        if fresh not in self._known:
            encoder = _encoder(fresh)
            config, architectures = OdeMetaConfig().pool, Architectures(encoder)
            pool = build_ode_pool(self.tasks, config, architectures, self.folder, workers, progress)
            self._known[fresh] = pool, encoder
        return self._known[fresh]


def _encoder(fresh: bool) -> GraphEncoder:
    from metalcx import hub
    from metalcx.encoders import new_encoder

    encoder = hub.load_encoder(ENCODER)
    return new_encoder(encoder.config) if fresh else encoder


def train_ode(unit: Unit, pools: OdePools, usable: npt.NDArray[np.bool_], study: Study) -> Forecaster:
    """Train a latent graph ODE without the families of its unit."""
    from metalcx.forecasters._ode_config import OdeConfig
    from metalcx.transfer import TrainConfig
    from metalcx.transfer._ode_train import OdeMetaConfig, train_ode_on

    pool, encoder = pools.of(unit.forecaster)
    network = replace(OdeConfig(), **WITHOUT[unit.forecaster])
    config = OdeMetaConfig(network, train=TrainConfig(seed=unit.seed))
    weights = SHARED.get(unit.forecaster, unit.forecaster)
    name = f"{weights}-seed{unit.seed}-fold{unit.fold:02d}-of{study.folds or 0}.safetensors"
    read = None if unit.forecaster == BLIND else encoder
    model = train_ode_on(pool, pools.tasks, config, read, study.out / "models" / name, usable)
    return replace(model, **ADAPTED.get(unit.forecaster, {}))
