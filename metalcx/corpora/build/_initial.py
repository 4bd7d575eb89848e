"""Initial weights of many runs of one architecture, each with its own scheme and gain."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

#: He et al. 2015; Glorot and Bengio 2010; LeCun et al. 1998; all normal.
SCHEMES = ("he", "glorot", "lecun")


def initialised(
    module: nn.Module, configs: Sequence[Mapping[str, Any]], generator: torch.Generator
) -> dict[str, Tensor]:
    """Parameters of R runs, by name, each of shape (R, ...).

    Matrices and kernels are drawn by each run's ``init`` and multiplied by its ``init_gain``; biases start at 0, and
    what else has one dimension (weights of norms) as the module has it.
    """
    parameters = {}
    for name, value in module.named_parameters():
        shape = (len(configs), *value.shape)
        if value.ndim >= 2:
            scale = torch.tensor([c["init_gain"] * _scale(c["init"], value) for c in configs])
            noise = torch.randn(shape, generator=generator)
            parameters[name] = noise * scale.view(-1, *[1] * value.ndim)
        elif name.endswith("bias"):
            parameters[name] = torch.zeros(shape)
        else:
            parameters[name] = value.detach().expand(shape).clone()
    return parameters


def _scale(scheme: str, value: Tensor) -> float:
    receptive = math.prod(value.shape[2:])
    fan_in, fan_out = value.shape[1] * receptive, value.shape[0] * receptive
    return math.sqrt({"he": 2 / fan_in, "glorot": 2 / (fan_in + fan_out), "lecun": 1 / fan_in}[scheme])
