"""An LSTM that learns to go on with the support's curves, point by point: the recurrent control."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from metalcx.curves import Curves, PaddedCurves
from metalcx.curves._batch import FloatArray
from metalcx.forecasters._base import BaseForecaster, gaussian

#: Steps from 0 to where support runs usually end; a run is followed twice as far, and then stays.
STEPS = 50

#: Support runs below which there is nothing to learn from: a run then goes on as it is.
LEAST = 3

#: Least width, as a share of the support's spread.
WIDTH = 0.02


@dataclass(frozen=True)
class LSTMConfig:
    """Size and training of an `LSTM`.

    Args:
        hidden: Units.
        epochs: Passes over the support, all of it at once.
        rate: Learning rate of Adam.
        noise: Standard deviation of what is added to values that are read, in the support's.
    """

    hidden: int = 32
    epochs: int = 200
    rate: float = 1e-2
    noise: float = 0.02


class LSTMNetwork(nn.Module):
    """One layer that reads values and times and tells by how much the next value differs.

    Args:
        hidden: Units.
    """

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.cell = nn.LSTM(2, hidden, batch_first=True)
        self.out = nn.Linear(hidden, 1)

    def forward(self, y: Tensor, clock: Tensor) -> Tensor:
        """The value after each of those read, shape (n, steps), which change by what is told."""
        told, _ = self.cell(torch.stack([y, clock.expand_as(y)], -1))
        return y + self.out(told)[..., 0]

    def rolled(self, y: Tensor, seen: Tensor, clock: Tensor) -> Tensor:
        """Curves that are read as far as they are seen and go on by themselves, shape (n, steps)."""
        state, last, found = None, y[:, :1], [y[:, 0]]
        for i in range(y.shape[1] - 1):
            told, state = self.cell(torch.stack([last, clock[i].expand_as(last)], -1), state)
            going = last[:, 0] + self.out(told)[:, 0, 0]
            found.append(torch.where(i + 1 < seen, y[:, i + 1], going))
            last = found[-1][:, None]
        return torch.stack(found, 1)


@dataclass(frozen=True)
class LSTM(BaseForecaster):
    """Teacher-forced on the support (as the LSTM of Ding et al., AAAI 2025, table 4), rolled out on the query.

    Curves are read on a grid of their task. Widths are what the rolled-out support misses, at the same cut and time.

    Args:
        config: Size and training.
    """

    config: LSTMConfig = field(default_factory=LSTMConfig)
    network: LSTMNetwork | None = field(default=None, repr=False, compare=False)

    def _fitted(self, steps: int | None, seed: int) -> Self:
        if len(self.support) < LEAST or not self._end > 0:
            return replace(self, network=None)
        y, clock = self._read(self.support.curves), self._clock()
        seen = (self._grid <= self.support.curves.t_last[:, None]) & (self._grid <= self._end)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = LSTMNetwork(self.config.hidden).double()
            optimiser = torch.optim.Adam(network.parameters(), lr=self.config.rate)
            weight = torch.from_numpy(seen[:, 1:]).double()
            for _ in range(self.config.epochs if steps is None else steps):
                optimiser.zero_grad()
                told = network(y[:, :-1] + self.config.noise * torch.randn_like(y[:, :-1]), clock[:-1])
                loss = (weight * (told - y[:, 1:]).square()).sum() / weight.sum()
                loss.backward()
                optimiser.step()
        return replace(self, network=network.eval())

    @property
    def _end(self) -> float:
        """When support runs usually end."""
        return float(np.median(self.support.curves.t_last)) if len(self.support) else 0.0

    @property
    def _grid(self) -> FloatArray:
        return np.linspace(0.0, 2 * self._end, 2 * STEPS + 1)

    def _clock(self) -> Tensor:
        return torch.from_numpy(np.minimum(self._grid / self._end, 1.0))

    def _units(self) -> tuple[float, float]:
        """Centre and spread of the support's values."""
        y = self.support.curves.y
        return float(np.median(y)), float(np.std(y)) or 1.0

    def _read(self, curves: PaddedCurves) -> Tensor:
        """On the grid, in the support's units, shape (n, steps)."""
        centre, spread = self._units()
        return torch.from_numpy((curves.at(np.tile(self._grid, (len(curves), 1))) - centre) / spread)

    def _predict(
        self, prefix: PaddedCurves, rows: npt.NDArray[np.int64], times: FloatArray, queries: Curves
    ) -> tuple[FloatArray, FloatArray]:
        if self.network is None:
            point = prefix.last[rows]
            return point, gaussian(point, np.maximum(np.ptp(prefix.y, axis=1)[rows], 1e-12))
        centre, spread = self._units()
        seen = (self._grid <= prefix.t_last[:, None]).sum(1)
        with torch.no_grad():
            rolled = self.network.rolled(self._read(prefix), torch.from_numpy(seen), self._clock()).numpy()
        place = np.minimum(times / self._end * STEPS, 2 * STEPS)
        point = centre + spread * _at(rolled, rows, place)
        width = np.maximum(self._missed(seen)[seen[rows], place.astype(int)], WIDTH)
        return point, gaussian(point, spread * width)

    def _missed(self, seen: npt.NDArray[np.int64]) -> FloatArray:
        """Root mean squared error of the support rolled out after so many points, shape (points + 1, steps)."""
        assert self.network is not None
        y, found = self._read(self.support.curves), np.zeros((int(seen.max()) + 1, 2 * STEPS + 1))
        for n in np.unique(seen):
            with torch.no_grad():
                told = self.network.rolled(y, torch.full((len(y),), int(n)), self._clock())
            found[n] = (told - y).square().mean(0).sqrt().numpy()
        return found


def _at(values: FloatArray, rows: npt.NDArray[np.int64], place: FloatArray) -> FloatArray:
    """Between places of a grid, along a line."""
    left = np.minimum(place.astype(int), values.shape[1] - 2)
    share = place - left
    return np.asarray((1 - share) * values[rows, left] + share * values[rows, left + 1])
