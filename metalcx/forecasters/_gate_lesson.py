"""What an expert gate adapts to: support runs, each cut and forecast from the others."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from metalcx.forecasters._few_shot import InnerLoop, Lesson, Rows
from metalcx.forecasters._gate_items import Items
from metalcx.forecasters._gate_network import GateNetwork


def gate_lesson(data: Items, n: int, inner: InnerLoop) -> Lesson[GateNetwork]:
    """What an expert gate adapts to: items of n runs, as of `support_items`."""
    x, offsets = torch.from_numpy(data.x), torch.from_numpy(data.offsets)

    def quantiles(network: GateNetwork, rows: Rows) -> Tensor:
        chosen, kind = torch.from_numpy(rows), network.mean.dtype
        found: Tensor = network(x[chosen].to(kind), offsets[chosen].to(kind))
        return found

    y, weight = (np.asarray(column, dtype=np.float64) for column in (data.y, data.weight))
    return Lesson(quantiles, y, weight, n, ("",) if inner.layers == "all" else ("head.",))
