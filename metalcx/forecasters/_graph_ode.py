"""The latent graph ODE as a forecaster: a correction of the expert gate by a state that follows a law of its own."""

from __future__ import annotations

import copy
import warnings
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
import torch

from metalcx.curves import Curves, PaddedCurves
from metalcx.curves._batch import FloatArray
from metalcx.errors import ModelError, name_some
from metalcx.forecasters._base import BaseForecaster, Support
from metalcx.forecasters._few_shot import MIN_SUPPORT, InnerLoop, Lesson, adapted, check_steps
from metalcx.forecasters._gate_inputs import GATED, N_FEATURES, check_made_for
from metalcx.forecasters._gate_items import SUPPORT_CUTS, cut_times, left_out, spread
from metalcx.forecasters._gate_network import MEDIAN, GateConfig
from metalcx.forecasters._ode_config import OdeConfig
from metalcx.forecasters._ode_inputs import RunInputs, TimeInputs, left_out_inputs, ode_inputs
from metalcx.forecasters._ode_network import OdeNetwork, Reached
from metalcx.forecasters._ode_tensors import Runs, Times, as_runs, as_times
from metalcx.forecasters._reader import TraitsReader, changed, check_width, encoder_of, loaded, tensors_of
from metalcx.forecasters._requests import Requests
from metalcx.forecasters._residual import ResidualGP, explained, packed, unpacked
from metalcx.forecasters._width import width_factor
from metalcx.protocol import SHARES

if TYPE_CHECKING:
    from metalcx.encoders import GraphEncoder

#: Draws of the state at the cut over which a forecast is averaged; the same for all runs, each with its mirror.
DRAWS = 2

#: The layers that read states, which is what gradient steps change, with an expert gate and alone.
READERS = ("gate.", "share.", "read.", "out.")
ALONE = ("read.", "out.")


@dataclass(frozen=True)
class LatentGraphODE(TraitsReader, BaseForecaster):
    """Meta-trained forecaster: a latent ODE, conditioned on architecture, configuration and task, over an expert gate.

    The prefix decides where a state begins, a law that depends on the architecture's embedding, the configuration and
    the support where it goes (`OdeNetwork`); it corrects what the expert gate says. Adaptation is amortised: the
    support is read, run by run, and decides how far architecture and configuration are listened to. What then reads the
    states takes gradient steps on the support's own runs, held out one at a time, as many as help on runs held out
    from them. What is then still missed of those runs is explained by configuration and architecture, as far as that
    helps on held-out runs.

    Args:
        config: Sizes and parts.
        network: The weights; untrained by default, which is nearly the mean of the experts.
        encoder: What reads architectures; None if none are read.
        inner: How adaptation takes its steps; its `layers` are not read.
        width: Factor on the quantiles' distance from the median, chosen in adaptation.
        steps: Gradient steps that adaptation took.
        beside: Whether what is missed of support runs is explained by configurations and architectures.
        process: How; None if that does not help.
        origin: The weights before adaptation, from which another `adapt` starts; None for a base.
    """

    config: OdeConfig = field(default_factory=OdeConfig)
    network: OdeNetwork | None = field(default=None, repr=False, compare=False)
    encoder: GraphEncoder | None = field(default=None, repr=False, compare=False)
    inner: InnerLoop = field(default_factory=InnerLoop)
    width: float = 1.0
    steps: int = 0
    beside: bool = True
    process: ResidualGP | None = field(default=None, repr=False, compare=False)
    origin: OdeNetwork | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.network is None:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                object.__setattr__(self, "network", OdeNetwork(self.config).eval())
        check_width(self.encoder, self.config.arch)

    @property
    def reads_configurations(self) -> bool:
        """Whether the network reads hyperparameters itself; what it then misses is explained by them anyway."""
        return self.config.config

    def _fitted(self, steps: int | None, seed: int) -> Self:
        origin = self.network if self.origin is None else self.origin
        assert origin is not None
        if len(self.support) < MIN_SUPPORT:
            check_steps(steps)
            return replace(self, network=origin, width=1.0, steps=0, process=None, origin=origin)
        lesson = self._lesson(origin)
        k = len(self.support)
        done = adapted(copy.deepcopy(origin).double(), self.inner, lesson, k, steps)
        network = done.network.float() if done.steps else origin
        process, held_out = None, done.held_out
        if self.beside:
            known = self._known.take(left_out(k))
            process, held_out = explained(known, held_out, lesson.y, cut_times(self.support.curves))
        width = width_factor(held_out, lesson.y, lesson.n)
        return replace(self, network=network, width=width, steps=done.steps, process=process, origin=origin)

    def _lesson(self, network: OdeNetwork) -> Lesson[OdeNetwork]:
        """What adaptation learns from: support runs, held out one at a time; their states are those of `network`."""
        support = self.support.curves
        inputs, requests, truth = left_out_inputs(support, self._known, SUPPORT_CUTS)
        runs, times = as_runs(inputs, torch.float64), as_times(requests, torch.float64)
        with torch.no_grad():
            reached = reached_by(copy.deepcopy(network).double(), runs, times)
        miss, anchor = truth - requests.centre[:, 0], requests.anchor[:, 0]
        typical = float(np.abs(miss).mean()) + 0.02 * spread(support.last)

        def quantiles(learning: OdeNetwork, rows: npt.NDArray[np.bool_]) -> torch.Tensor:
            chosen = torch.from_numpy(rows)
            asked = Times(*(part[chosen] for part in times))
            own = [Reached(*(part[chosen] for part in one)) for one in reached]
            return learning.decode(own, asked)

        n = len(left_out(len(support)))
        layers = READERS if self.config.experts else ALONE
        return Lesson(quantiles, np.clip(miss / anchor, -1e3, 1e3), anchor / typical, n, layers)

    def _predict(
        self, prefix: PaddedCurves, rows: npt.NDArray[np.int64], times: FloatArray, queries: Curves
    ) -> tuple[FloatArray, FloatArray]:
        values, _ = self._answers_and_requests(prefix, rows, times, queries)
        return values @ SHARES, values

    def _answers_and_requests(
        self, prefix: PaddedCurves, rows: npt.NDArray[np.int64], times: FloatArray, queries: Curves
    ) -> tuple[FloatArray, Requests]:
        """Quantiles, oriented, shape (b, levels), and what an expert gate would read of the same forecasts."""
        own = self._traits(queries)
        runs, asked, requests = ode_inputs(self.support.curves, prefix, rows, times, own, self._known)
        scaled, lost = self._quantiles(runs, asked)
        if lost.any():
            warnings.warn(
                f"the state of runs {name_some(queries.ids[lost])} stopped being numbers; their forecasts are those of "
                "the expert gate alone",
                RuntimeWarning,
                stacklevel=5,
            )
        middle = scaled[:, MEDIAN : MEDIAN + 1]
        scaled = middle + self.width * (scaled - middle)
        if self.process is not None:
            scaled = scaled + self.process.shift(own, prefix.t_last)[rows, None]
        return requests.values(scaled), requests

    def _quantiles(self, runs: RunInputs, times: TimeInputs) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
        """In anchors around the centre, shape (b, levels), and which runs were lost, shape (n,).

        In double precision: in single, a forecast would change with its batch mates in the sixth digit.
        """
        with torch.no_grad():
            given = as_runs(runs, torch.float64), as_times(times, torch.float64), draws(self.config)
            quantiles, _, lost = self._precise(*given)
        return quantiles.mean(0).numpy(), lost.numpy()

    @cached_property
    def _precise(self) -> OdeNetwork:
        """The network in double precision."""
        return copy.deepcopy(self.network).double()  # type: ignore[union-attr]

    # What the hub stores.

    def config_dict(self) -> dict[str, Any]:
        """Constructor arguments as JSON values."""
        encoder = None if self.encoder is None else self.encoder.config_dict()
        return {"network": asdict(self.config), "encoder": encoder, "experts": list(GATED), "features": N_FEATURES}

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """All weights, those of the encoder behind ``encoder.``."""
        assert self.network is not None
        return tensors_of(self.network, self.encoder)

    @classmethod
    def build(cls, config: dict[str, Any], tensors: dict[str, npt.NDArray[Any]]) -> Self:
        """The model of which `config_dict` and `tensors` gave these.

        Raises:
            ModelError: If it was made for other experts or features, or tensors do not fit the configuration.
        """
        check_made_for(config)
        try:
            known = dict(config["network"])
            size = OdeConfig(**{**known, "gate": GateConfig(**known["gate"])})
        except (TypeError, KeyError) as error:
            raise ModelError(f"config.json does not describe a LatentGraphODE: {error}") from None
        encoder = encoder_of(config, tensors)
        return cls(size, loaded(lambda: OdeNetwork(size), size, tensors), encoder)

    def delta(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """What adaptation changed beside the support: the width, the weights if steps were taken, and the process."""
        weights = {name: value for name, value in self.tensors().items() if name.startswith(READERS)}
        return {"width": self.width, "steps": self.steps}, (weights if self.steps else {}) | packed(self.process)

    def with_delta(self, support: Curves, config: dict[str, Any], tensors: dict[str, npt.NDArray[Any]]) -> Self:
        """The adapted model of which `delta` gave these."""
        assert self.network is not None
        weights, told = unpacked(tensors)
        network = changed(copy.deepcopy(self.network), weights)
        adapted = replace(
            self,
            support=Support.of(support),
            network=network,
            width=float(config["width"]),
            steps=int(config["steps"]),
            origin=self.network,
        )
        if not told:
            return adapted
        return replace(adapted, process=ResidualGP.build(adapted._known.take(left_out(len(adapted.support))), told))


def draws(config: OdeConfig) -> torch.Tensor:
    """Standard normal numbers, the same for all runs, shape (2 DRAWS, 1, latent)."""
    drawn = torch.randn(DRAWS, 1, config.latent, generator=torch.Generator().manual_seed(0)).double()
    return torch.cat([drawn, -drawn])


def reached_by(network: OdeNetwork, runs: Runs, times: Times) -> list[Reached]:
    """What the decoder reads of each request, once a draw."""
    law = network.laws(runs)
    return [network.reach(law, path, times, runs) for path in network.paths(law, times, draws(network.config))]
