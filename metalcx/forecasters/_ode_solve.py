"""Trajectories of many runs in one solve, read at each run's own times."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

#: Distance of grid points, in units of log time.
STEP = 0.5

#: Tolerances of adaptive solvers.
TOLERANCE: dict[str, Any] = {"rtol": 1e-5, "atol": 1e-6}

#: Methods that take the steps of the grid and no others.
FIXED = ("rk4", "euler", "midpoint", "heun2", "heun3")

#: From s and states (n, d) to their derivatives; or from several s, shape (g, 1), and states (g, n, d).
Drift = Callable[[Tensor, Tensor], Tensor]

#: From positions of runs to the drift of their states.
DriftOf = Callable[[Tensor], Drift]


@dataclass(frozen=True)
class Path:
    """States of n runs on a common grid, and their derivatives there.

    Attributes:
        z: Shape (g, n, d), at 0, `STEP`, 2 `STEP` ...; 0 behind what is read of a run.
        slope: Derivatives, shape (g, n, d).
        lost: Runs whose state stopped being a number, shape (n,); they are 0 throughout.
    """

    z: Tensor
    slope: Tensor
    lost: Tensor

    def split(self, n: int) -> list[Path]:
        """Those of each n runs in turn."""
        parts = zip(self.z.split(n, 1), self.slope.split(n, 1), self.lost.split(n), strict=True)
        return [Path(z, slope, lost) for z, slope, lost in parts]

    def at(self, run: Tensor, s: Tensor) -> Tensor:
        """States of some runs, each at its own s between 0 and the end of the grid; shape (b, d).

        Cubic between grid points, so that what else is asked for changes nothing.

        Args:
            run: Which, shape (b,).
            s: When, shape (b,).
        """
        place = (s / STEP).clamp(0, len(self.z) - 1)
        left = place.floor().long().clamp(max=len(self.z) - 2)
        right = left + 1
        h = (place - left)[:, None]
        z0, z1, f0, f1 = self.z[left, run], self.z[right, run], self.slope[left, run], self.slope[right, run]
        stay, come = (1 + 2 * h) * (1 - h) ** 2, h * h * (3 - 2 * h)
        return stay * z0 + come * z1 + STEP * (h * (1 - h) ** 2 * f0 + h * h * (h - 1) * f1)


def solve(drift_of: DriftOf, z0: Tensor, until: Tensor, method: str = "rk4") -> Path:
    """Integrate from s = 0, all runs at once and each at least as far as it will be read, with torchdiffeq.

    A fixed-step method takes the grid's steps: a run's states are then the same whatever runs are beside it, and it is
    left out of the steps that it does not need. With an adaptive one, whose steps suit all runs together, they are the
    same to its tolerance.

    Args:
        drift_of: Gives the drift of the runs at some positions.
        z0: States at 0, shape (n, d).
        until: The largest s of each run that will be read, shape (n,).
        method: Of torchdiffeq, such as ``rk4`` or ``dopri5``.
    """
    steps = (until / STEP - 1e-6).ceil().clamp(min=1).long()
    if method not in FIXED:
        steps = steps.max().expand(len(steps))
    order = steps.argsort(descending=True, stable=True)
    start = z0[order]
    z, slope = [start[None]], [drift_of(order)(z0.new_zeros(()), start)[None]]
    for first, last, m in _stretches(steps):
        drift, grid = drift_of(order[:m]), STEP * torch.arange(first, last + 1, dtype=z0.dtype, device=z0.device)
        states = _solved(drift, z[-1][-1, :m], grid, method)[1:]
        rest = (0, 0, 0, len(z0) - m)
        z.append(pad(states, rest))
        slope.append(pad(drift(grid[1:, None], states), rest))
    place = order.argsort()
    found, slopes = torch.cat(z)[:, place], torch.cat(slope)[:, place]
    lost = ~(torch.isfinite(found).all(2) & torch.isfinite(slopes).all(2)).all(0)
    keep = ~lost[None, :, None]
    return Path(torch.where(keep, found, 0.0), torch.where(keep, slopes, 0.0), lost)


def _stretches(steps: Tensor) -> Iterator[tuple[int, int, int]]:
    """(first and last grid point, runs that need all of it) of each stretch of the grid, from 0 on."""
    first = 0
    for last in torch.unique(steps).tolist():
        yield first, last, int((steps >= last).sum())
        first = last


def _solved(drift: Drift, z0: Tensor, grid: Tensor, method: str) -> Tensor:
    from torchdiffeq import odeint

    try:
        return torch.as_tensor(odeint(drift, z0, grid, method=method, **TOLERANCE))
    except AssertionError:
        # An adaptive solver gives up when a step becomes too small for its numbers; a fixed grid says which runs do.
        return torch.as_tensor(odeint(drift, z0, grid, method="rk4"))
