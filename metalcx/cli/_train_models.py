"""What `metalcx meta-train` can train, and how much of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from metalcx.cli._output import Progress
from metalcx.errors import DataError

if TYPE_CHECKING:
    from metalcx.forecasters._ode_config import OdeConfig
    from metalcx.hub._registry import Savable
    from metalcx.transfer import PoolConfig, PreparedTask, TrainConfig


class Model(StrEnum):
    """What is meta-trained."""

    EXPERT_GATE = "expert-gate"
    GRAPH_ODE = "graph-ode"
    ENSEMBLE = "ensemble"
    RANK_NET = "rank-net"


class Size(StrEnum):
    """How large a graph-ode is."""

    FULL = "full"
    MINI = "mini"


class Algorithm(StrEnum):
    """How a forecaster is meta-trained."""

    EPISODIC = "episodic"
    MAML = "maml"
    METASGD = "metasgd"
    ANIL = "anil"


@dataclass(frozen=True)
class Wanted:
    """What is to be trained.

    Args:
        model: The forecaster; an ensemble is an expert gate and a graph ODE.
        encoder: What reads architectures, by name or folder.
        size: Of a graph ODE.
        algorithm: Of an expert gate.
        steps: Outer steps; by default the library's.
        episodes: Of each task of 40 or more runs; by default the library's.
        seed: Of episodes and weights.
    """

    model: Model
    encoder: str | None = None
    size: Size = Size.FULL
    algorithm: Algorithm = Algorithm.EPISODIC
    steps: int | None = None
    episodes: int | None = None
    seed: int = 0

    def check(self) -> None:
        """Refuse what does not go together.

        Raises:
            DataError: If an option says nothing of the model.
        """
        model, size, algorithm = self.model, self.size, self.algorithm
        if model is Model.EXPERT_GATE and self.encoder is not None:
            raise DataError(
                "--encoder: an expert-gate reads no architectures; choose --model graph-ode, ensemble or rank-net, or "
                "leave it out"
            )
        if model is not Model.GRAPH_ODE and size is not Size.FULL:
            raise DataError(f"--size {size.value}: only a graph-ode has it; choose --model graph-ode, or leave it out")
        if model is not Model.EXPERT_GATE and algorithm is not Algorithm.EPISODIC:
            article = "an" if model is Model.ENSEMBLE else "a"
            raise DataError(
                f"--algorithm {algorithm.value}: {article} {model.value} is trained by plain episodes; leave it out"
            )

    def outer(self) -> TrainConfig:
        """The outer loop."""
        from metalcx.transfer import TrainConfig

        return TrainConfig(seed=self.seed) if self.steps is None else TrainConfig(steps=self.steps, seed=self.seed)

    def pool(self) -> PoolConfig:
        """Episodes; those of mixtures and made-up tasks in proportion to those of measured ones."""
        from metalcx.transfer import PoolConfig

        # An inner loop sees whole episodes, a few a step, so that fewer of them go as far; those of a graph-ode, which
        # a rank-net learns from too, hold more.
        inner, small = self.algorithm is not Algorithm.EPISODIC, self.model is not Model.EXPERT_GATE
        n = self.episodes or (80 if inner or small else 160)
        mixed = n * (25 if inner else 50)
        return PoolConfig(
            n, max(1, n // 8 if inner else n * 3 // 16), mixed=mixed, synthetic=mixed // 2, seed=self.seed
        )

    def train(self, tasks: list[PreparedTask], work: Path, workers: int, progress: Progress) -> Savable:
        """Train on source tasks; goes on from what an earlier call left in `work`."""
        if self.model is Model.EXPERT_GATE:
            from metalcx.transfer import MetaConfig, meta_train

            config = MetaConfig(self.algorithm.value, pool=self.pool(), train=self.outer())
            return meta_train(tasks, work, config, workers, progress)
        if self.model is Model.ENSEMBLE:
            from metalcx.forecasters import Ensemble

            gate = replace(self, model=Model.EXPERT_GATE).train(tasks, work / "gate", workers, progress)
            ode = replace(self, model=Model.GRAPH_ODE).train(tasks, work / "ode", workers, progress)
            return Ensemble(gate, ode)  # type: ignore[arg-type]
        return self._train_reader(tasks, work, workers, progress)

    def _train_reader(self, tasks: list[PreparedTask], work: Path, workers: int, progress: Progress) -> Savable:
        """Train what reads architectures."""
        from metalcx import hub
        from metalcx.forecasters._ode_config import OdeConfig
        from metalcx.transfer import OdeMetaConfig, RankMetaConfig, meta_train_ode, meta_train_rank_net

        reads = None if self.encoder is None else hub.load_encoder(self.encoder)
        if self.model is Model.RANK_NET:
            ranker = RankMetaConfig(pool=self.pool(), train=self.outer())
            return meta_train_rank_net(tasks, work, ranker, reads, workers, progress)
        network = _mini() if self.size is Size.MINI else OdeConfig()
        config = OdeMetaConfig(network, pool=self.pool(), train=self.outer())
        return meta_train_ode(tasks, work, config, reads, workers, progress)


def _mini() -> OdeConfig:
    """What loads and adapts in no time, for tests and notebooks."""
    from metalcx.forecasters._gate_network import GateConfig
    from metalcx.forecasters._ode_config import OdeConfig

    return OdeConfig(GateConfig(members=1, width=48), latent=8, hidden=32, heads=2)
