"""How far configurations and architectures are listened to: as far as the support says, hardly at K <= 5."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from metalcx.forecasters._ode_tensors import Runs
from metalcx.forecasters._peers import BESIDE

#: Support runs at which the gates of configuration and architecture may be half open, and how fast they open.
HALF_OPEN, OPENING = 10.0, 2.0


def new_gates() -> nn.Linear:
    """What turns evidence into belief, doubtful at first."""
    gates = nn.Linear(len(BESIDE) * 2, len(BESIDE))
    with torch.no_grad():
        gates.bias.fill_(-1.0)
    return gates


def opened(gates: nn.Linear, runs: Runs, config: bool, arch: bool) -> Tensor:
    """How far configuration and architecture of n runs are listened to, in [0, 1], shape (n, 2).

    Args:
        gates: From `new_gates`.
        runs: The runs.
        config: Whether configurations are read at all.
        arch: Whether architectures are.
    """
    enough = torch.sigmoid((runs.k.to(runs.x) - HALF_OPEN) / OPENING)[:, None]
    read = torch.tensor([config, arch]).to(runs.x)
    known = runs.known * read
    believed = torch.sigmoid(4.0 * gates(torch.cat([runs.evidence * read, known], 1)))
    return enough * believed * known
