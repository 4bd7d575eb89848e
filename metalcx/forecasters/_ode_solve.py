"""Trajectories of many runs in one solve, read at each run's own times."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Any

import torch
from torch import Tensor

#: Distance of grid points, in units of log time.
STEP = 0.5

#: Tolerances of adaptive solvers.
TOLERANCE: dict[str, Any] = {"rtol": 1e-5, "atol": 1e-6}

#: From s and states (n, d) to their derivatives.
Drift = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Path:
    """States of n runs on a common grid, and their derivatives there.

    Attributes:
        z: Shape (g, n, d); states 0, `STEP`, 2 `STEP` ...
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


def solve(drift: Drift, z0: Tensor, horizon: float, method: str = "rk4") -> Path:
    """Integrate from s = 0 to at least `horizon`, all runs at once, with torchdiffeq.

    A fixed-step method takes the grid's steps: a run's states are then the same whatever runs are beside it. With an
    adaptive one, whose steps suit all runs together, they are the same to its tolerance.

    Args:
        drift: Derivative of each run's state from its own state.
        z0: States at 0, shape (n, d).
        horizon: The largest s that will be read.
        method: Of torchdiffeq, such as ``rk4`` or ``dopri5``.
    """
    from torchdiffeq import odeint

    steps = max(ceil(horizon / STEP - 1e-6), 1)
    grid = STEP * torch.arange(steps + 1, dtype=z0.dtype, device=z0.device)
    z = _solved(odeint, drift, z0, grid, method)
    slope = torch.stack([drift(s, state) for s, state in zip(grid, z, strict=True)])
    lost = ~(torch.isfinite(z).all(2) & torch.isfinite(slope).all(2)).all(0)
    keep = ~lost[None, :, None]
    return Path(torch.where(keep, z, 0.0), torch.where(keep, slope, 0.0), lost)


def _solved(odeint: Any, drift: Drift, z0: Tensor, grid: Tensor, method: str) -> Tensor:
    try:
        return torch.as_tensor(odeint(drift, z0, grid, method=method, **TOLERANCE))
    except AssertionError:
        # An adaptive solver gives up when a step becomes too small for its numbers; a fixed grid says which runs do.
        return torch.as_tensor(odeint(drift, z0, grid, method="rk4"))
