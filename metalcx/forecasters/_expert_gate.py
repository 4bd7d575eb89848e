"""The expert gate: a small network, meta-trained over datasets, that weighs simple experts and says how sure it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from metalcx._weights import check_sizes
from metalcx.curves import Curves, PaddedCurves
from metalcx.curves._batch import FloatArray
from metalcx.errors import ModelError
from metalcx.forecasters._base import BaseForecaster, Support
from metalcx.forecasters._configurations import ConfigurationSpace
from metalcx.forecasters._few_shot import MIN_SUPPORT, InnerLoop, adapted, check_steps
from metalcx.forecasters._gate_inputs import GATED, N_FEATURES, check_made_for
from metalcx.forecasters._gate_items import cut_times, left_out, support_items
from metalcx.forecasters._gate_lesson import gate_lesson
from metalcx.forecasters._gate_network import MEDIAN, GateConfig, GateNetwork
from metalcx.forecasters._requests import Requests, requests
from metalcx.forecasters._residual import ResidualGP, explained, packed, unpacked
from metalcx.forecasters._traits import Traits, counting, traits
from metalcx.forecasters._width import width_factor
from metalcx.protocol import SHARES

#: Prefix of learned rates among a model's tensors.
RATE = "rate."


@dataclass(frozen=True)
class ExpertGate(BaseForecaster):
    """Meta-trained forecaster: a residual over a softmax gate of simple experts.

    For each request the experts (last, best, shift, median, affine, Theil-Sen, trend, ridge, GP,
    neighbours) give points from the support; a network that was trained in episodes over many
    datasets sees their track record on the support, the prefix's shape and the place of the query
    among the support, all free of units, and returns a mixture of the points, a residual, and a
    quantile for each level. Adaptation is amortised (the support is input) and then takes gradient
    steps on the support's own runs, held out one at a time, as many as help on runs held out from them. What is then
    still missed of those runs is explained by configuration and architecture, as far as that helps on held-out runs.

    Args:
        config: Size of the network.
        inner: How adaptation takes its steps.
        network: The weights; untrained by default, which is nearly the mean of the experts.
        rates: Learned rates of the inner steps by name of weight (Meta-SGD), or None for that of `inner`.
        width: Factor on the quantiles' distance from the median, chosen in adaptation.
        steps: Gradient steps that adaptation took.
        beside: Whether configurations and architectures are read.
        process: What they tell; None if that is nothing.
        origin: The weights before adaptation, from which another `adapt` starts; None for a base.
    """

    config: GateConfig = field(default_factory=GateConfig)
    inner: InnerLoop = field(default_factory=InnerLoop)
    network: GateNetwork | None = field(default=None, repr=False, compare=False)
    rates: Mapping[str, Tensor] | None = field(default=None, repr=False, compare=False)
    width: float = 1.0
    steps: int = 0
    beside: bool = True
    process: ResidualGP | None = field(default=None, repr=False, compare=False)
    origin: GateNetwork | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.network is None:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                object.__setattr__(self, "network", GateNetwork(self.config).eval())

    @property
    def net(self) -> GateNetwork:
        """The network, in evaluation mode."""
        assert self.network is not None
        return self.network

    def _fitted(self, steps: int | None, seed: int) -> Self:
        # Another support replaces the first, as its curves do: nothing learned from those stays in the weights.
        origin = self.net if self.origin is None else self.origin
        if len(self.support) < MIN_SUPPORT:
            check_steps(steps)
            return replace(self, network=origin, width=1.0, steps=0, process=None, origin=origin)
        k = len(self.support)
        lesson = gate_lesson(support_items(self.support.curves), len(left_out(k)), self.inner)
        done = adapted(origin, self.inner, lesson, k, steps, self.rates)
        process, held_out = None, done.held_out
        if self.beside:
            known = self._traits(self.support.source).take(left_out(k))
            process, held_out = explained(known, held_out, lesson.y, cut_times(self.support.curves))
        width = width_factor(held_out, lesson.y, lesson.n)
        return replace(self, network=done.network, width=width, steps=done.steps, process=process, origin=origin)

    def _traits(self, curves: Curves | None) -> Traits:
        """What is known of runs beside their curves, in the terms of the support."""
        source = self.support.source
        assert curves is not None
        assert source is not None
        return traits(curves, ConfigurationSpace.of(source.config), counting(source.arch), hashes=False)

    def _predict(
        self, prefix: PaddedCurves, rows: npt.NDArray[np.int64], times: FloatArray, queries: Curves
    ) -> tuple[FloatArray, FloatArray]:
        values = self._answers(requests(self.support.curves, prefix, rows, times), prefix, rows, queries)
        return values @ SHARES, values

    def _answers(
        self, asked: Requests, prefix: PaddedCurves, rows: npt.NDArray[np.int64], queries: Curves
    ) -> FloatArray:
        """Quantiles, oriented, shape (b, levels), of what is asked about `rows` of `prefix`."""
        scaled = self.net.predict(asked.x, asked.offsets)
        middle = scaled[:, MEDIAN : MEDIAN + 1]
        scaled = middle + self.width * (scaled - middle)
        if self.process is not None:
            scaled = scaled + self.process.shift(self._traits(queries), prefix.t_last)[rows, None]
        return asked.values(scaled)

    # What the hub stores.

    def config_dict(self) -> dict[str, Any]:
        """Constructor arguments as JSON values."""
        return {
            "network": asdict(self.config),
            "inner": asdict(self.inner),
            "beside": self.beside,
            "experts": list(GATED),
            "features": N_FEATURES,
        }

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """All weights."""
        rates = {} if self.rates is None else {f"{RATE}{name}": value for name, value in self.rates.items()}
        return {name: value.detach().numpy() for name, value in (self.net.state_dict() | rates).items()}

    @classmethod
    def build(cls, config: dict[str, Any], tensors: dict[str, npt.NDArray[Any]]) -> Self:
        """The model of which `config_dict` and `tensors` gave these.

        Raises:
            ModelError: If it was made for other experts or features, or tensors do not fit the configuration.
        """
        check_made_for(config)
        try:
            size, inner = GateConfig(**config["network"]), InnerLoop(**config["inner"])
        except (TypeError, KeyError) as error:
            raise ModelError(f"config.json does not describe an ExpertGate: {error}") from None
        rates = {n.removeprefix(RATE): torch.from_numpy(np.array(v)) for n, v in tensors.items() if n.startswith(RATE)}
        weights = {n: v for n, v in tensors.items() if not n.startswith(RATE)}
        check_sizes(lambda: GateNetwork(size), size, weights)
        network = _loaded(GateNetwork(size), weights)
        shapes = {name: value.shape for name, value in network.named_parameters()}
        if rates and {name: value.shape for name, value in rates.items()} != shapes:
            raise ModelError("learned rates do not fit the weights one by one; save the model again")
        return cls(size, inner, network, rates or None, beside=bool(config.get("beside", True)))

    def delta(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """What adaptation changed beside the support: the width, the weights if steps were taken, and the process."""
        weights = {n: v for n, v in self.tensors().items() if not n.startswith(RATE)}
        told = packed(self.process)
        return {"width": self.width, "steps": self.steps}, (weights if self.steps else {}) | told

    def with_delta(self, support: Curves, config: dict[str, Any], tensors: dict[str, npt.NDArray[Any]]) -> Self:
        """The adapted model of which `delta` gave these."""
        own, told = unpacked(tensors)
        if own:
            check_sizes(lambda: GateNetwork(self.config), self.config, own)
        network = _loaded(GateNetwork(self.config), own) if own else self.net
        adapted = replace(
            self,
            support=Support.of(support),
            network=network,
            width=float(config["width"]),
            steps=int(config["steps"]),
            origin=self.net,
        )
        if not told:
            return adapted
        known = adapted._traits(adapted.support.source).take(left_out(len(adapted.support)))
        return replace(adapted, process=ResidualGP.build(known, told))


def _loaded(network: GateNetwork, tensors: dict[str, npt.NDArray[Any]]) -> GateNetwork:
    network.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in tensors.items()})
    return network.eval()
