"""Stochastic differential equations on a fixed grid: Euler and Maruyama, with the divergence of paths."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

#: From states (n, d) to their drift.
Drift = Callable[[Tensor], Tensor]


class Paths(NamedTuple):
    """Paths of n states on a grid.

    Attributes:
        z: Shape (steps + 1, n, d).
        divergence: KL of each path's law from the prior's, one draw of the integral of ((f - h) / g)^2 / 2, shape (n,).
    """

    z: Tensor
    divergence: Tensor


def euler(drift: Drift, prior: Drift, z0: Tensor, noise: Tensor, step: float, sigma: float) -> Paths:
    """Solve dz = drift(z) ds + sigma dW (Kloeden and Platen 1992, section 10.2).

    Args:
        drift: f of the law.
        prior: h of the law that it is compared with, which has the same sigma.
        z0: States at 0, shape (n, d).
        noise: Standard normal draws, shape (steps, n or 1, d).
        step: Distance of grid points.
        sigma: g, the same everywhere.
    """
    z, apart = [z0], z0.new_zeros(len(z0))
    for draw in noise:
        f = drift(z[-1])
        apart = apart + 0.5 * step * ((f - prior(z[-1])) / sigma).square().sum(-1)
        z.append(z[-1] + step * f + sigma * step**0.5 * draw)
    return Paths(torch.stack(z), apart)


def between(z: Tensor, place: Tensor) -> Tensor:
    """Along lines between grid points, shape (places, n, d).

    Args:
        z: Shape (steps + 1, n, d).
        place: In steps, shape (places,).
    """
    left = place.floor().long().clamp(0, len(z) - 2)
    share = (place - left)[:, None, None]
    return (1 - share) * z[left] + share * z[left + 1]
