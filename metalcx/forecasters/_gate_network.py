"""The network of the expert gate: a mixture of experts' points plus a residual, and a quantile for each level."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import softplus

from metalcx.errors import DataError
from metalcx.forecasters._gate_inputs import GATED, N_FEATURES
from metalcx.protocol import LEVELS, SHARES

MEDIAN = int(np.flatnonzero(LEVELS == 0.5)[0])
N_OUTPUTS = len(GATED) + 2 + len(LEVELS) - 1


@dataclass(frozen=True)
class GateConfig:
    """Size of a `GateNetwork`.

    Args:
        members: Networks that are trained side by side and averaged.
        width: Units of each hidden layer.
        depth: Hidden layers.
        dropout: Share of hidden units dropped in training.

    Raises:
        DataError: If a size is not positive or dropout is not in [0, 1).
    """

    members: int = 2
    width: int = 96
    depth: int = 2
    dropout: float = 0.1

    def __post_init__(self) -> None:
        if min(self.members, self.width, self.depth) < 1 or not 0 <= self.dropout < 1:
            raise DataError(f"sizes are positive and dropout lies in [0, 1); got {self}")


class Stacked(nn.Module):
    """A linear layer for each member: (members, b, fan_in) -> (members, b, fan_out)."""

    def __init__(self, members: int, fan_in: int, fan_out: int) -> None:
        super().__init__()
        bound = 1.0 / math.sqrt(fan_in)
        self.weight = nn.Parameter(torch.empty(members, fan_in, fan_out).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(members, 1, fan_out).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return torch.baddbmm(self.bias, x, self.weight)


class UnitDropout(nn.Module):
    """Dropout that drops the same units for a whole batch, other ones in each member.

    One random number a unit instead of one a unit and row: those took a third of a training step.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        """Shape (members, b, width) is kept."""
        if not self.training or self.share == 0:
            return x
        kept = torch.rand(x.shape[0], 1, x.shape[2], dtype=x.dtype, device=x.device) >= self.share
        return x * (kept / (1.0 - self.share))


class GateNetwork(nn.Module):
    """Features of a request -> quantiles in anchors around the centre, by each member.

    The median is a convex mixture of the experts' points plus a residual; the other quantiles
    follow by positive steps, so that they never cross.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: GateConfig) -> None:
        super().__init__()
        self.config = config
        sizes = [N_FEATURES, *[config.width] * config.depth]
        layers: list[nn.Module] = []
        for fan_in, fan_out in itertools.pairwise(sizes):
            layers += [Stacked(config.members, fan_in, fan_out), nn.SiLU(), UnitDropout(config.dropout)]
        self.body = nn.Sequential(*layers)
        self.head = Stacked(config.members, config.width, N_OUTPUTS)
        self.register_buffer("mean", torch.zeros(N_FEATURES))
        self.register_buffer("std", torch.ones(N_FEATURES))
        # An untrained network is nearly the plain average of the experts.
        with torch.no_grad():
            self.head.weight.mul_(0.1)
            self.head.bias.zero_()

    def forward(self, x: Tensor, offsets: Tensor) -> Tensor:
        """Quantiles at `LEVELS`, shape (members, b, len(LEVELS)), ascending.

        Args:
            x: Features, shape (b, N_FEATURES).
            offsets: Experts' points less the centre, in anchors, shape (b, len(GATED)).
        """
        return self.decode(self.head(self.embed(x)), offsets)

    def embed(self, x: Tensor) -> Tensor:
        """Features -> last hidden layer, shape (members, b, width)."""
        hidden: Tensor = self.body(((x - self.mean) / self.std).expand(self.config.members, *x.shape))
        return hidden

    def decode(self, out: Tensor, offsets: Tensor) -> Tensor:
        """Outputs of the head, shape (members, b, N_OUTPUTS) -> quantiles."""
        gate, residual, scale, steps = out.split([len(GATED), 1, 1, len(LEVELS) - 1], -1)
        middle = (gate.softmax(-1) * offsets).sum(-1, keepdim=True) + torch.sinh(residual.clamp(-5, 5))
        steps = softplus(steps + _STEP_BIAS.to(steps)) * torch.exp(scale.clamp(-6, 6))
        up = middle + steps[..., MEDIAN:].cumsum(-1)
        down = middle - steps[..., :MEDIAN].flip(-1).cumsum(-1).flip(-1)
        return torch.cat([down, middle, up], -1)

    def predict(self, x: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """Quantiles averaged over the members, shape (b, len(LEVELS)), without gradients.

        In double precision: in single, a forecast would change with its batch mates in the sixth digit.
        """
        weights = {name: value.double() for name, value in self.state_dict().items()}
        given = tuple(torch.from_numpy(np.asarray(a, dtype=np.float64)) for a in (x, offsets))
        with torch.no_grad():
            quantiles = functional_call(self, weights, given)
        averaged: np.ndarray = quantiles.mean(0).numpy()
        return averaged


def _step_bias() -> Tensor:
    """Inverse softplus of the steps of a Laplace distribution of mean absolute value 1: where widths start."""
    levels = torch.tensor(LEVELS)
    q = torch.where(levels < 0.5, torch.log(2 * levels), -torch.log(2 * (1 - levels)))
    return torch.log(torch.expm1(q.diff())).float()


_STEP_BIAS = _step_bias()


def gate_loss(quantiles: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    """Weighted pinball loss over `LEVELS` (Koenker and Bassett 1978) plus the absolute error of the mean.

    Twice the first approaches the CRPS; the second is there because the mean is what people read.

    Args:
        quantiles: Shape (members, b, len(LEVELS)).
        y: True values in anchors, shape (b,).
        weight: Shape (b,).

    Returns:
        The mean over members and requests, a scalar.
    """
    levels = torch.as_tensor(LEVELS, dtype=quantiles.dtype, device=quantiles.device)
    shares = torch.as_tensor(SHARES, dtype=quantiles.dtype, device=quantiles.device)
    miss = y[:, None] - quantiles
    pinball = torch.maximum(levels * miss, (levels - 1) * miss).mean(-1)
    absolute = ((quantiles * shares).sum(-1) - y).abs()
    return ((pinball + absolute) * weight).mean()
