"""The ranking network: from a prefix, an architecture, a configuration and the task to a score."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, leaky_relu, pad

from metalcx.errors import DataError
from metalcx.forecasters._gate_inputs import N_FEATURES
from metalcx.forecasters._gate_network import UnitDropout
from metalcx.forecasters._ode_inputs import TOKEN
from metalcx.forecasters._ode_tensors import Runs
from metalcx.forecasters._opening import new_gates, opened
from metalcx.forecasters._rank_pairs import lead
from metalcx.forecasters._traits import HASHED

#: Widths of the convolutions over a prefix.
WIDTHS = (2, 3, 4, 5)

#: Most anchors by which a score may lie off the centre.
REACH = 5.0

#: Slope of activations below 0.
SLOPE = 0.1


@dataclass(frozen=True)
class RankConfig:
    """Size and parts of a `RankNetwork`.

    Args:
        channels: Of each convolution.
        hidden: Units of every hidden layer.
        arch: Width of embeddings of architectures; 0 if they are not read.
        curve: Whether the points of the prefix are read.
        config: Whether configurations are read.
        task: Whether the task's context, and the query's place in it, is read.
        dropout: Share of hidden units dropped in training.

    Raises:
        DataError: If a size is not positive or dropout is not in [0, 1).
    """

    channels: int = 16
    hidden: int = 64
    arch: int = 0
    curve: bool = True
    config: bool = True
    task: bool = True
    dropout: float = 0.1

    def __post_init__(self) -> None:
        if min(self.channels, self.hidden) < 1 or self.arch < 0 or not 0 <= self.dropout < 1:
            raise DataError(f"sizes are positive and dropout lies in [0, 1); got {self}")


class RankNetwork(nn.Module):
    """Score of a run, in the spirit of LCRankNet (Wistuba and Pedapati, ICML 2020, arXiv:2006.03361).

    As there, convolutions of widths 2 to 5 with max pooling over time read the curve, and two linear layers what all
    branches say. Otherwise: the embedding of a pre-trained encoder stands in for an LSTM over an architecture's tokens,
    features of the support for the learned embedding of a dataset, which no new dataset has; rows are normalised by
    themselves, because what else is in a batch must not matter; and the score is a correction, in anchors, of the
    centre of the experts. Untrained there is none: runs are in the order of their centres.

    Args:
        config: Sizes and parts.
    """

    mean: Tensor
    std: Tensor
    arch_mean: Tensor
    arch_std: Tensor

    def __init__(self, config: RankConfig) -> None:
        super().__init__()
        self.config = config
        h = config.hidden
        # What is not read has no weights: gradient steps ask for the gradients of all there are.
        if config.curve:
            self.convolutions = nn.ModuleList(nn.Conv1d(TOKEN, config.channels, width) for width in WIDTHS)
            self.curve_in = nn.Linear(len(WIDTHS) * config.channels, h)
        if config.task:
            self.task_in = nn.Linear(N_FEATURES, h)
        self.open = new_gates()
        self.config_in = nn.Linear(2 * HASHED, h, bias=False)
        if config.arch:
            self.arch_in = nn.Linear(config.arch, h, bias=False)
        self.body = nn.Linear(h, h)
        self.out = nn.Linear(h, 1, bias=False)
        self.drop = UnitDropout(config.dropout)
        #: Logarithm of how fast a lead, in anchors, becomes sure.
        self.sharp = nn.Parameter(torch.zeros(()))
        self.register_buffer("mean", torch.zeros(N_FEATURES))
        self.register_buffer("std", torch.ones(N_FEATURES))
        self.register_buffer("arch_mean", torch.zeros(max(config.arch, 1)))
        self.register_buffer("arch_std", torch.ones(max(config.arch, 1)))
        nn.init.zeros_(self.out.weight)

    def forward(self, runs: Runs, run: Tensor, x: Tensor) -> Tensor:
        """By how many anchors the score of each request is above its centre, shape (b,).

        Args:
            runs: n runs.
            run: Which of them each request is about, shape (b,).
            x: Features of the requests, shape (b, N_FEATURES).
        """
        told = self._beside(runs)
        if self.config.curve:
            told = told + self.curve_in(self._curve(runs.tokens))
        told = told[run]
        if self.config.task:
            told = told + self.task_in((x - self.mean) / self.std)
        hidden = self._hidden(self.body(self._hidden(layer_norm(told, told.shape[1:]))))
        return REACH * torch.tanh(self.out(hidden)[:, 0] / REACH)

    def lead(self, score: Tensor, anchor: Tensor, pairs: Tensor) -> Tensor:
        """Logit of the probability that the first of each pair is better, shape (p,); see `lead`."""
        return lead(score, anchor, pairs, self.sharp)

    def _hidden(self, x: Tensor) -> Tensor:
        dropped: Tensor = self.drop(leaky_relu(x, SLOPE)[None])
        return dropped[0]

    def _beside(self, runs: Runs) -> Tensor:
        """What configuration and architecture say, as far as the support has them heard, shape (n, hidden)."""
        heard = opened(self.open, runs, self.config.config, self.config.arch > 0)
        told: Tensor = self.config_in(runs.config * heard[:, :1])
        if self.config.arch:
            known = (runs.arch - self.arch_mean) / self.arch_std * runs.has_arch
            told = told + self.arch_in(known * heard[:, 1:])
        return told

    def _curve(self, tokens: Tensor) -> Tensor:
        """Largest answer of each filter over the points there are, shape (n, filters)."""
        # Points side by side, those that are missing behind them.
        order = (tokens[..., -1] == 0).to(torch.uint8).argsort(stable=True, dim=1)
        points = tokens.gather(1, order[..., None].expand_as(tokens)).transpose(1, 2)
        missing = points[:, -1:] == 0
        found = []
        for width, convolution in zip(WIDTHS, self.convolutions, strict=True):
            # A window ends at its point, so that one point is enough.
            answer = leaky_relu(convolution(pad(points, (width - 1, 0))), SLOPE)
            found.append(answer.masked_fill(missing, -1e9).amax(2))
        return torch.cat(found, 1)
