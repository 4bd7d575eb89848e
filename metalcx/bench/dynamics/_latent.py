"""Latent dynamics after Ding et al. (AAAI 2025): LC-GODE, and what is left of it without a graph or with noise."""

from __future__ import annotations

from math import sqrt

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from metalcx.bench.dynamics._euler import between, euler
from metalcx.bench.dynamics._fold import Batch, Fold
from metalcx.bench.dynamics._model import Model, divergence, squared
from metalcx.forecasters._ode_solve import solve

#: Numbers in a state and in a graph's vector.
LATENT = 16

#: Where the solver's own time ends: 8 steps of its grid from the first point behind the cut to the last.
END = 4.0

#: Steps of Euler's scheme over the same time.
EULER_STEPS = 16

#: Rate at which the prior of a stochastic state returns to 0, one over the whole time; its noise then makes the prior
#: standard normal at all times, as the prior of the first state is.
RETURN = 1.0 / END
SIGMA = sqrt(2.0 * RETURN)

#: By how much the first point behind the cut counts more than another one, as in the paper's code: there 5000 on its
#: squared error beside a likelihood of scale .05.
FIRST = 25.0

#: Pairs of mirrored draws over which a forecast is averaged, the same for all runs.
PAIRS = 2


class LatentDynamics(Model):
    """Prefix -> q(z0) = N(mean, std); dz = W2 GELU(W1 [z; z_G]) ds (+ sigma dW); a linear decoder.

    As in the paper, z0 is the state at the first point behind the cut: what is said of that point does not depend on
    the graph. The drift begins at 0. Without a graph z_G is 0, and the model is the paper's NODE or NSDE.

    Args:
        fold: Where the cut is, and times.
        graph: Reads architectures; None for none.
        stochastic: Whether the law has noise.
    """

    def __init__(self, fold: Fold, graph: nn.Module | None = None, stochastic: bool = False) -> None:
        super().__init__()
        d = LATENT
        self.graph, self.stochastic = graph, stochastic
        ahead = fold.clock[fold.seen :]
        # The grid's last point is the last one asked for, whatever the rounding.
        self.s = (END * (ahead - ahead[0]) / (ahead[-1] - ahead[0]).clamp(min=1e-9)).clamp(max=END)
        self.clock = fold.clock[: fold.seen]
        self.prefix = nn.GRU(2, 2 * d, batch_first=True)
        self.start = nn.Linear(2 * d, 2 * d)
        self.pull, self.push = nn.Linear(d, 4 * d), nn.Linear(d, 4 * d, bias=False)
        self.drift_out = nn.Linear(4 * d, d)
        self.decoder = nn.Linear(d, 1)
        nn.init.zeros_(self.drift_out.weight)
        nn.init.zeros_(self.drift_out.bias)

    def loss(self, batch: Batch, beta: float) -> Tensor:
        """Negative ELBO, one draw of its own for each run."""
        mean, log_std = self.posterior(batch.seen)
        z0 = mean + log_std.exp() * torch.randn_like(mean)
        noise = torch.randn(EULER_STEPS if self.stochastic else 0, *mean.shape)
        told, apart = self._told(z0, batch.arch, noise)
        misses = squared(told, batch.future)
        evidence = misses.sum(1) + FIRST * misses[:, 0]
        return (evidence + beta * (divergence(mean, log_std) + apart)).mean()

    def forecast(self, batch: Batch) -> Tensor:
        """Means over mirrored draws."""
        mean, log_std = self.posterior(batch.seen)
        generator = torch.Generator().manual_seed(0)
        told = []
        for _ in range(PAIRS):
            draw = torch.randn(1, LATENT, generator=generator)
            noise = torch.randn(EULER_STEPS if self.stochastic else 0, 1, LATENT, generator=generator)
            told += [self._told(mean + way * log_std.exp() * draw, batch.arch, way * noise)[0] for way in (1, -1)]
        return torch.stack(told).mean(0)

    def posterior(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log standard deviation of the first state, each of shape (b, LATENT)."""
        _, last = self.prefix(torch.stack([seen, self.clock.expand_as(seen)], -1))
        mean, log_std = self.start(last[0]).chunk(2, -1)
        return mean, log_std.clamp(-6, 2)

    def _told(self, z0: Tensor, arch: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Values behind the cut, shape (b, T - c), and the divergence of paths, shape (b,)."""
        push = z0.new_zeros(len(z0), 1) if self.graph is None else self.push(self.graph(arch))

        def drift(z: Tensor, own: Tensor) -> Tensor:
            return self.drift_out(gelu(self.pull(z) + own))

        if self.stochastic:
            paths = euler(lambda z: drift(z, push), lambda z: -RETURN * z, z0, noise, END / EULER_STEPS, SIGMA)
            states = between(paths.z, self.s * (EULER_STEPS / END))
            return self.decoder(states)[..., 0].T, paths.divergence
        path = solve(lambda rows: lambda _, z: drift(z, push[rows]), z0, z0.new_full((len(z0),), END))
        run = torch.arange(len(z0)).repeat_interleave(len(self.s))
        states = path.at(run, self.s.repeat(len(z0)))
        return self.decoder(states)[:, 0].view(len(z0), -1), z0.new_zeros(len(z0))
