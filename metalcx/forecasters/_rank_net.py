"""The pairwise ranker as a forecaster: scores that order runs, and a line from them to values."""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.func import functional_call

from metalcx.curves import Curves, PaddedCurves
from metalcx.curves._batch import FloatArray, IntArray
from metalcx.errors import DataError, ModelError
from metalcx.forecasters._base import BaseForecaster, Support, gaussian
from metalcx.forecasters._few_shot import MIN_SUPPORT, InnerLoop, adapted, check_steps
from metalcx.forecasters._gate_inputs import GATED, N_FEATURES, check_made_for
from metalcx.forecasters._gate_items import SUPPORT_CUTS, cut_times, left_out, spread
from metalcx.forecasters._ode_inputs import TimeInputs, left_out_inputs, ode_inputs
from metalcx.forecasters._ode_tensors import as_runs, as_times
from metalcx.forecasters._rank_calibration import Calibration
from metalcx.forecasters._rank_lesson import RankLesson
from metalcx.forecasters._rank_network import RankConfig, RankNetwork
from metalcx.forecasters._reader import TraitsReader, changed, check_width, encoder_of, loaded, tensors_of
from metalcx.protocol import At, resolve_at

if TYPE_CHECKING:
    from metalcx.encoders import GraphEncoder

#: Prefix of the calibration's tensors among those of an adapted model.
_CALIBRATION = "calibration."


@dataclass(frozen=True)
class RankNet(TraitsReader, BaseForecaster):
    """Meta-trained forecaster that learned which of two runs ends better, in the spirit of LCRankNet.

    A run's score (`RankNetwork`) is the centre of the experts, corrected by what its curve, its architecture, its
    configuration and the support say; P(i better than j) is the logistic function of the difference of their scores
    (`pairwise`). All inputs are in units of the run and of the support: a constant added to all curves of a dataset
    changes neither what is learned nor what is said. Adaptation takes gradient steps on pairs of the support's own
    runs, each held out from the others, as many as help on runs held out from them, and draws an increasing line from
    their scores to their values (`Calibration`). Below three support runs a forecast is the score itself, as wide as
    the experts' error. Learned from values at the end of runs; at other times it says what it would if that were the
    end.

    Args:
        config: Sizes and parts.
        network: The weights; untrained by default, which ranks by the centre of the experts.
        encoder: What reads architectures; None if none are read.
        inner: How adaptation takes its steps.
        steps: Gradient steps that adaptation took.
        calibration: From scores to values.
        origin: The weights before adaptation, from which another `adapt` starts; None for a base.
    """

    config: RankConfig = field(default_factory=RankConfig)
    network: RankNetwork | None = field(default=None, repr=False, compare=False)
    encoder: GraphEncoder | None = field(default=None, repr=False, compare=False)
    inner: InnerLoop = field(default_factory=InnerLoop)
    steps: int = 0
    calibration: Calibration = field(default_factory=Calibration.none, repr=False, compare=False)
    origin: RankNetwork | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.network is None:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                object.__setattr__(self, "network", RankNetwork(self.config).eval())
        check_width(self.encoder, self.config.arch)

    @property
    def net(self) -> RankNetwork:
        """The network, in evaluation mode."""
        assert self.network is not None
        return self.network

    def _fitted(self, steps: int | None, seed: int) -> Self:
        origin = self.net if self.origin is None else self.origin
        if len(self.support) < MIN_SUPPORT:
            check_steps(steps)
            return replace(self, network=origin, steps=0, calibration=Calibration.none(), origin=origin)
        lesson = self._lesson()
        done = adapted(copy.deepcopy(origin).double(), self.inner, lesson, len(self.support), steps)
        cuts = cut_times(self.support.curves)
        score = lesson.centre + lesson.anchor * done.held_out[:, 0]
        score, anchor, truth = (part.reshape(len(cuts), -1) for part in (score, lesson.anchor, lesson.truth))
        calibration = Calibration.fitted(cuts, score, anchor, truth, float(np.median(self.support.curves.last)))
        network = done.network.float() if done.steps else origin
        return replace(self, network=network, steps=done.steps, calibration=calibration, origin=origin)

    def _lesson(self) -> RankLesson:
        """What adaptation learns from: support runs, held out one at a time, in pairs of one cut."""
        support = self.support.curves
        inputs, requests, truth = left_out_inputs(support, self._known, SUPPORT_CUTS)
        runs, x = as_runs(inputs, torch.float64), as_times(requests, torch.float64).x

        def corrections(network: RankNetwork, rows: npt.NDArray[np.bool_]) -> Tensor:
            chosen = torch.from_numpy(np.flatnonzero(rows))
            found: Tensor = network(runs, chosen, x[chosen])
            return found[None, :, None]

        centre, anchor = requests.centre[:, 0], requests.anchor[:, 0]
        typical = float(np.abs(truth - centre).mean()) + 0.02 * spread(support.last)
        layers = ("",) if self.inner.layers == "all" else ("out.",)
        y, n = np.clip((truth - centre) / anchor, -1e3, 1e3), len(left_out(len(support)))
        return RankLesson(corrections, y, anchor / typical, n, layers, 1, centre=centre, anchor=anchor, truth=truth)

    def _predict(
        self, prefix: PaddedCurves, rows: IntArray, times: FloatArray, queries: Curves
    ) -> tuple[FloatArray, FloatArray]:
        score, asked = self._scores(prefix, rows, times, queries)
        anchor, support = asked.anchor[:, 0], self.support.curves
        middle = score
        if len(support):
            middle = np.median(support.at(np.tile(times, (len(support), 1))), 0)
        point, sigma = self.calibration(score, anchor, middle, prefix.t_last[rows])
        return point, gaussian(point, sigma)

    def _scores(
        self, prefix: PaddedCurves, rows: IntArray, times: FloatArray, queries: Curves
    ) -> tuple[FloatArray, TimeInputs]:
        """Scores of requests, oriented, shape (b,), and what they were made from.

        In double precision: in single, a forecast would change with its batch mates in the sixth digit.
        """
        runs, asked, _ = ode_inputs(self.support.curves, prefix, rows, times, self._traits(queries), self._known)
        weights = {name: value.double() for name, value in self.net.state_dict().items()}
        given = as_times(asked, torch.float64)
        with torch.no_grad():
            above = functional_call(self.net, weights, (as_runs(runs, torch.float64), given.run, given.x)).numpy()
        return asked.centre[:, 0] + asked.anchor[:, 0] * above, asked

    def pairwise(self, queries: Curves, at: At) -> FloatArray:
        """P(run i is better than run j) at one time a run, from their scores alone; shape (n, n), .5 on the diagonal.

        It compares runs whatever the support says of values; `forecast(...).prob_better` compares with a number. A run
        that diverged is worse than any other; one that has been seen at its time has the value seen.

        Raises:
            DataError: If several times a run are asked for, or a run has no measured value.
        """
        times, single = resolve_at(queries, at)
        if not single:
            raise DataError("pairwise compares runs at one time each; give a number, or one number a run id")
        prefix, n = self._measured(queries), len(queries)
        alive = np.flatnonzero(~prefix.diverged)
        score, anchor = np.full(n, -np.inf), np.zeros(n)
        score[alive] = prefix.take(alive).at(times[alive])[:, 0]
        ahead = alive[times[alive, 0] > prefix.t_last[alive]]
        if len(ahead):
            own = self._floored(prefix.take(ahead))
            line = np.arange(len(ahead))
            score[ahead], asked = self._scores(own, line, times[ahead, 0], queries.take(ahead))
            anchor[ahead] = asked.anchor[:, 0]
        pairs = torch.from_numpy(np.indices((n, n)).reshape(2, -1))
        with torch.no_grad():
            logits = self.net.lead(torch.from_numpy(score), torch.from_numpy(anchor), pairs)
        found: FloatArray = torch.sigmoid(logits).reshape(n, n).numpy()
        return found

    # What the hub stores.

    def config_dict(self) -> dict[str, Any]:
        """Constructor arguments as JSON values."""
        encoder = None if self.encoder is None else self.encoder.config_dict()
        own = {"network": asdict(self.config), "inner": asdict(self.inner), "encoder": encoder}
        return own | {"experts": list(GATED), "features": N_FEATURES}

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """All weights, those of the encoder behind ``encoder.``."""
        return tensors_of(self.net, self.encoder)

    @classmethod
    def build(cls, config: dict[str, Any], tensors: dict[str, npt.NDArray[Any]]) -> Self:
        """The model of which `config_dict` and `tensors` gave these.

        Raises:
            ModelError: If it was made for other experts or features, or tensors do not fit the configuration.
        """
        check_made_for(config)
        try:
            size, inner = RankConfig(**config["network"]), InnerLoop(**config["inner"])
        except (TypeError, KeyError) as error:
            raise ModelError(f"config.json does not describe a RankNet: {error}") from None
        return cls(size, loaded(lambda: RankNetwork(size), size, tensors), encoder_of(config, tensors), inner)

    def delta(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """What adaptation changed beside the support: the weights if steps were taken, and the calibration."""
        weights = tensors_of(self.net, None) if self.steps else {}
        line = {_CALIBRATION + name: value for name, value in self.calibration.tensors().items()}
        return {"steps": self.steps}, weights | line

    def with_delta(self, support: Curves, config: dict[str, Any], tensors: dict[str, npt.NDArray[Any]]) -> Self:
        """The adapted model of which `delta` gave these."""
        line = {n.removeprefix(_CALIBRATION): v for n, v in tensors.items() if n.startswith(_CALIBRATION)}
        weights = {name: value for name, value in tensors.items() if not name.startswith(_CALIBRATION)}
        return replace(
            self,
            support=Support.of(support),
            network=changed(copy.deepcopy(self.net), weights),
            steps=int(config["steps"]),
            calibration=Calibration(**line),
            origin=self.net,
        )
