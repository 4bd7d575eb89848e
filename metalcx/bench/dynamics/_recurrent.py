"""Recurrent controls: an LSTM with teacher forcing, and a VRNN."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from metalcx.bench.dynamics._fold import Batch, Fold
from metalcx.bench.dynamics._model import Model, divergence, squared
from metalcx.forecasters._lstm import LSTMConfig, LSTMNetwork

#: Units, and numbers in the VRNN's latent variable.
HIDDEN, LATENT = 32, 8


class RecurrentLSTM(Model):
    """The network of `metalcx.forecasters.LSTM`: it learns each next point, and is rolled out behind the cut."""

    def __init__(self, fold: Fold) -> None:
        super().__init__()
        self.clock, self.noise = fold.clock, LSTMConfig().noise
        self.network = LSTMNetwork(HIDDEN)

    def loss(self, batch: Batch, beta: float) -> Tensor:
        """Mean squared error of each next point."""
        y = torch.cat([batch.seen, batch.future], 1)
        told = self.network(y[:, :-1] + self.noise * torch.randn_like(y[:, :-1]), self.clock[:-1])
        return (told - y[:, 1:]).square().mean()

    def forecast(self, batch: Batch) -> Tensor:
        """Each point from the one told before it."""
        n, c = batch.seen.shape
        unseen = batch.seen.new_zeros(n, len(self.clock) - c)
        return self.network.rolled(torch.cat([batch.seen, unseen], 1), torch.full((n,), c), self.clock)[:, c:]


class VRNN(Model):
    """Variational recurrent network (Chung et al., NeurIPS 2015, equations 5 to 11).

    Forecasts follow the means of the prior and of the decoder.
    """

    def __init__(self, fold: Fold) -> None:
        super().__init__()
        h, z = HIDDEN, LATENT
        self.clock = fold.clock
        self.read = nn.Linear(2, h)
        self.prior = nn.Sequential(nn.Linear(h + 1, h), nn.SiLU(), nn.Linear(h, 2 * z))
        self.encode = nn.Sequential(nn.Linear(2 * h, h), nn.SiLU(), nn.Linear(h, 2 * z))
        self.lift = nn.Linear(z, h)
        self.decode = nn.Sequential(nn.Linear(2 * h, h), nn.SiLU(), nn.Linear(h, 1))
        self.cell = nn.GRUCell(2 * h, h)

    def loss(self, batch: Batch, beta: float) -> Tensor:
        """Negative ELBO of whole curves, a mean over their points."""
        y = torch.cat([batch.seen, batch.future], 1)
        clock = self.clock.expand_as(y)
        x = self._read(y, clock)
        h, latent, state, own = y.new_zeros(len(y), HIDDEN), [], [], []
        for point in x.unbind(1):
            own.append(self.encode(torch.cat([point, h], 1)))
            mean, log_std = _halves(own[-1])
            latent.append(self._lift(mean + log_std.exp() * torch.randn_like(mean)))
            state.append(h)
            h = self.cell(torch.cat([point, latent[-1]], 1), h)
        states = torch.stack(state, 1)
        told = self._decode(torch.stack(latent, 1), states)
        apart = divergence(*_halves(torch.stack(own, 1)), *self._expected(states, clock))
        return (squared(told, y) + beta * apart).mean()

    def forecast(self, batch: Batch) -> Tensor:
        """What is seen is read with the encoder, what is behind the cut told by prior and decoder."""
        h, told = batch.seen.new_zeros(len(batch.seen), HIDDEN), []
        for i, when in enumerate(self.clock):
            if i < batch.seen.shape[1]:
                x = self._read(batch.seen[:, i], when.expand(len(h)))
                z = self._lift(_halves(self.encode(torch.cat([x, h], 1)))[0])
            else:
                z = self._lift(self._expected(h, when.expand(len(h)))[0])
                told.append(self._decode(z, h))
                x = self._read(told[-1], when.expand(len(h)))
            h = self.cell(torch.cat([x, z], 1), h)
        return torch.stack(told, 1)

    def _read(self, value: Tensor, when: Tensor) -> Tensor:
        return silu(self.read(torch.stack([value, when], -1)))

    def _expected(self, h: Tensor, when: Tensor) -> tuple[Tensor, Tensor]:
        return _halves(self.prior(torch.cat([h, when[..., None]], -1)))

    def _lift(self, z: Tensor) -> Tensor:
        return silu(self.lift(z))

    def _decode(self, z: Tensor, h: Tensor) -> Tensor:
        return self.decode(torch.cat([z, h], -1))[..., 0]


def _halves(both: Tensor) -> tuple[Tensor, Tensor]:
    mean, log_std = both.chunk(2, -1)
    return mean, log_std.clamp(-6, 2)
