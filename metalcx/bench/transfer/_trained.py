"""The forecasters of the transfer benchmark that learn from sources: from which, and how."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from metalcx.bench._study import EXTRA_SOURCES, OURS, TARGETS, Progress, Study, Unit
from metalcx.bench.transfer._ode_trained import ODES, OdePools, train_ode
from metalcx.bench.transfer._rank_trained import RANKERS, train_rank_net
from metalcx.forecasters._few_shot import InnerLoop
from metalcx.protocol import Forecaster
from metalcx.transfer._pool import Pool, PoolConfig, build_pool
from metalcx.transfer._tasks import PreparedTask

#: Trained through an inner loop, and for how many steps of whole episodes.
GRADIENT, GRADIENT_STEPS = ("metalcx-maml", "metalcx-metasgd", "metalcx-anil"), 600

#: Learns from episodes drawn without the further sources, everything else equal.
WITHOUT_EXTRA = "metalcx-without-extra"

#: The same weights, but adapted without gradient steps, or without what configurations and architectures tell.
ADAPTED: dict[str, dict[str, Any]] = {
    "metalcx-amortised": {"inner": InnerLoop(candidates=(0,))},
    "metalcx-without-traits": {"beside": False},
}

#: Learns from the same pool of episodes but those that a corpus has a part in, or one domain of it.
LESS = {
    f"metalcx-less-{corpus}{'-' if domain else ''}{domain}": (corpus, domain)
    for corpus, domain in (
        *((name, "") for name in (*TARGETS, *EXTRA_SOURCES)),
        *((OURS, domain) for domain in ("tabular", "img", "seq")),
    )
}

#: The expert gate and the latent graph ODE together, and what each of them is there.
ENSEMBLE, PARTS = "metalcx-ensemble", ("metalcx", "graph-ode")

#: What is trained once a held-out family and seed.
TRAINED = ("trees", "metalcx", ENSEMBLE, *ADAPTED, *ODES, *RANKERS, WITHOUT_EXTRA, *LESS, *GRADIENT)


class Pools:
    """The episodes that the forecasters of a study learn from, each pool read once a process."""

    def __init__(self, study: Study, tasks: list[PreparedTask]) -> None:
        self.study = study
        self.tasks = tasks
        self.ode = OdePools(study.out / "pool", tasks)
        self._known: dict[Any, tuple[Pool, list[PreparedTask]]] = {}

    def draw(self, forecaster: str, workers: int = 1, progress: Progress | None = None) -> None:
        """Draw the pool of a forecaster if it is missing."""
        if forecaster == ENSEMBLE:
            for part in PARTS:
                self.draw(part, workers, progress)
        elif forecaster in (*ODES, *RANKERS):
            self.ode.of(forecaster, workers, progress)
        else:
            self.of(forecaster, workers, progress)

    def of(
        self, forecaster: str, workers: int = 1, progress: Progress | None = None
    ) -> tuple[Pool, list[PreparedTask]]:
        """The pool of a forecaster, drawn if it is missing, and the tasks from which it was drawn."""
        key = pool_config(forecaster), forecaster == WITHOUT_EXTRA
        if key not in self._known:
            left_out = EXTRA_SOURCES if key[1] else ()
            sources = [task for task in self.tasks if task.corpus not in left_out]
            self._known[key] = build_pool(sources, key[0], self.study.out / "pool", workers, progress), sources
        return self._known[key]


def pool_config(forecaster: str) -> PoolConfig:
    """How the episodes of a forecaster are drawn."""
    gradient = forecaster in GRADIENT
    config = PoolConfig(with_support=gradient)
    # The inner loop sees whole episodes, a few a step, so that fewer of them go as far.
    return replace(config, per_task=80, per_small_task=10, mixed=2000, synthetic=1000) if gradient else config


def train(unit: Unit, pools: Pools) -> Forecaster:
    """Train a forecaster of `TRAINED` without the families of its unit."""
    from metalcx.transfer import MetaConfig, TrainConfig, train_on

    if unit.forecaster == ENSEMBLE:
        from metalcx.forecasters import Ensemble

        gate, ode = (train(replace(unit, forecaster=part), pools) for part in PARTS)
        return Ensemble(gate, ode)  # type: ignore[arg-type]
    if unit.forecaster in (*ODES, *RANKERS):
        allowed = np.array([task.family not in unit.families for task in pools.tasks])
        own = train_ode if unit.forecaster in ODES else train_rank_net
        return own(unit, pools.ode, allowed, pools.study)
    pool, tasks = pools.of(unit.forecaster)
    usable = np.array([t.family not in unit.families and not _left_out(unit.forecaster, t) for t in tasks])
    if unit.forecaster == "trees":
        return _boosted_trees(unit, pool, tasks, usable)
    _, _, algorithm = unit.forecaster.partition("-")
    gradient = unit.forecaster in GRADIENT
    config = MetaConfig(
        algorithm=algorithm if gradient else "episodic",
        train=TrainConfig(seed=unit.seed, steps=GRADIENT_STEPS if gradient else TrainConfig.steps),
        pool=pool_config(unit.forecaster),
    )
    fewer = unit.forecaster == WITHOUT_EXTRA or unit.forecaster in LESS
    sources = unit.forecaster.removeprefix("metalcx") if fewer else ""
    name = f"{config.algorithm}{sources}-seed{unit.seed}-fold{unit.fold:02d}-of{pools.study.folds or 0}.safetensors"
    model = train_on(pool, tasks, config, pools.study.out / "models" / name, usable)
    return replace(model, **ADAPTED.get(unit.forecaster, {}))


def _left_out(forecaster: str, task: PreparedTask) -> bool:
    corpus, domain = LESS.get(forecaster, (None, ""))
    return task.corpus == corpus and task.domain.startswith(domain)


def _boosted_trees(unit: Unit, pool: Pool, tasks: list[PreparedTask], usable: npt.NDArray[np.bool_]) -> Forecaster:
    from metalcx.forecasters._trees import BoostedTrees
    from metalcx.transfer import TrainConfig
    from metalcx.transfer._train import episode_odds

    odds = episode_odds(pool, tasks, TrainConfig(), pool_config(unit.forecaster), usable)
    rng = np.random.default_rng([unit.seed, 6])
    row = (odds / np.maximum(np.bincount(pool.episode, minlength=len(odds)), 1))[pool.episode]
    return BoostedTrees.fit(pool.queries.take(rng.choice(len(row), 100_000, p=row / row.sum())), unit.seed)
