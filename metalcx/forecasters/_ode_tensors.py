"""What the latent ODE reads, as tensors."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from metalcx.forecasters._ode_inputs import RunInputs, TimeInputs


class Runs(NamedTuple):
    """`RunInputs` as tensors, and how many of the support's places are taken, shape (n,)."""

    x: Tensor
    tokens: Tensor
    beside: Tensor
    arch: Tensor
    config: Tensor
    relation: Tensor
    missed: Tensor
    course: Tensor
    evidence: Tensor
    known: Tensor
    has_arch: Tensor
    k: Tensor


class Times(NamedTuple):
    """What is asked of runs, as in `TimeInputs`, as tensors."""

    run: Tensor
    s: Tensor
    x: Tensor
    offsets: Tensor
    relation: Tensor
    missed: Tensor


def as_runs(runs: RunInputs, dtype: torch.dtype) -> Runs:
    """Tensors of runs that all have as many support runs."""
    own = {name: torch.from_numpy(getattr(runs, name)).to(dtype) for name in Runs._fields if name != "k"}
    return Runs(**own, k=torch.full((len(runs),), runs.relation.shape[1]))


def as_times(times: TimeInputs, dtype: torch.dtype) -> Times:
    """Tensors of requests."""
    own = {name: torch.from_numpy(getattr(times, name)).to(dtype) for name in Times._fields if name != "run"}
    return Times(**own, run=torch.from_numpy(times.run))
