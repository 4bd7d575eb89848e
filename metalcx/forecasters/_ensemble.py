"""An expert gate and a latent graph ODE side by side: what ships as metalcx-base."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from metalcx.curves import Curves, PaddedCurves
from metalcx.curves._batch import FloatArray
from metalcx.errors import ModelError
from metalcx.forecasters._base import BaseForecaster, Support
from metalcx.forecasters._expert_gate import ExpertGate
from metalcx.forecasters._graph_ode import LatentGraphODE
from metalcx.protocol import SHARES

Tensors = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Ensemble(BaseForecaster):
    """Mean of the quantiles of an expert gate and a latent graph ODE (Vincent's average), each adapted for itself.

    They learned from other episodes and err on other tasks: the ODE is ahead where runs end at times of their own, the
    gate where they are of one length. On a corpus that neither had seen, the mean was better than either.

    Args:
        gate: The expert gate.
        ode: The latent graph ODE.
    """

    gate: ExpertGate = field(default_factory=ExpertGate)
    ode: LatentGraphODE = field(default_factory=LatentGraphODE)

    def _fitted(self, steps: int | None, seed: int) -> Self:
        gate, ode = replace(self.gate, support=self.support), replace(self.ode, support=self.support)
        return replace(self, gate=gate._fitted(steps, seed), ode=ode._fitted(steps, seed))

    def _predict(
        self, prefix: PaddedCurves, rows: npt.NDArray[np.int64], times: FloatArray, queries: Curves
    ) -> tuple[FloatArray, FloatArray]:
        # Queries are brought beside the support once, and read by both.
        ode, asked = self.ode._answers_and_requests(prefix, rows, times, queries)
        gate = self.gate._answers(asked, prefix, rows, queries)

        def bounded(values: FloatArray) -> FloatArray:
            # Each is a forecast by itself, and says nothing that the metric cannot be.
            return queries.metric.sign * queries.metric.clip(queries.metric.sign * values)

        point = (bounded(gate @ SHARES) + bounded(ode @ SHARES)) / 2
        return point, (bounded(gate) + bounded(ode)) / 2

    # What the hub stores.

    def config_dict(self) -> dict[str, Any]:
        """Constructor arguments as JSON values."""
        return {"gate": self.gate.config_dict(), "ode": self.ode.config_dict()}

    def tensors(self) -> Tensors:
        """All weights, behind ``gate/`` and ``ode/``."""
        return _joined(self.gate.tensors(), self.ode.tensors())

    @classmethod
    def build(cls, config: dict[str, Any], tensors: Tensors) -> Self:
        """The model of which `config_dict` and `tensors` gave these.

        Raises:
            ModelError: If a part is missing, was made for other experts or features, or its tensors do not fit.
        """
        if not isinstance(config.get("gate"), dict) or not isinstance(config.get("ode"), dict):
            raise ModelError("config.json does not describe an Ensemble: it has no gate or no ode")
        gate, ode = _parted(tensors)
        return cls(ExpertGate.build(config["gate"], gate), LatentGraphODE.build(config["ode"], ode))

    def delta(self) -> tuple[dict[str, Any], Tensors]:
        """What adaptation changed in each."""
        (gate, gate_tensors), (ode, ode_tensors) = self.gate.delta(), self.ode.delta()
        return {"gate": gate, "ode": ode}, _joined(gate_tensors, ode_tensors)

    def with_delta(self, support: Curves, config: dict[str, Any], tensors: Tensors) -> Self:
        """The adapted model of which `delta` gave these."""
        gate, ode = _parted(tensors)
        return replace(
            self,
            support=Support.of(support),
            gate=self.gate.with_delta(support, config["gate"], gate),
            ode=self.ode.with_delta(support, config["ode"], ode),
        )


def _joined(gate: Tensors, ode: Tensors) -> Tensors:
    return {f"gate/{name}": value for name, value in gate.items()} | {f"ode/{name}": v for name, v in ode.items()}


def _parted(tensors: Mapping[str, npt.NDArray[Any]]) -> tuple[Tensors, Tensors]:
    own: dict[str, Tensors] = {"gate": {}, "ode": {}}
    for name, value in tensors.items():
        part, _, rest = name.partition("/")
        if part not in own:
            raise ModelError(f"tensor {name[:60]!r} belongs to no part of an Ensemble; save the model again")
        own[part][rest] = value
    return own["gate"], own["ode"]
