"""The inner loops of many episodes at once, by torch.func: what learn2learn does of each, one after another."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from metalcx.forecasters._gate_network import GateNetwork, gate_loss

#: x, offsets, y and weight of a row each.
Columns = tuple[Tensor, ...]

#: Rows of several episodes in arrays of one width, and what turns a mean over that width into one over what is there.
Padded = tuple[Columns, Tensor]


def padded(
    columns: Columns, edges: npt.NDArray[np.int64], episodes: npt.NDArray[np.int64], device: str = "cpu"
) -> Padded:
    """The rows of some episodes, those of episode e being ``edges[e]:edges[e + 1]``; rows that are none weigh nothing.

    Args:
        columns: Of all rows, weights last.
        edges: Where episodes begin, shape (all episodes + 1,).
        episodes: Which, shape (e,).
        device: Of torch, where to put them.
    """
    first, count = edges[episodes], edges[episodes + 1] - edges[episodes]
    width = int(count.max())
    place = np.arange(width)
    index = torch.from_numpy(first[:, None] + np.minimum(place, count[:, None] - 1))
    there = torch.from_numpy(place < count[:, None])
    *rest, weight = (column[index] for column in columns)
    shown = tuple(column.to(device) for column in (*rest, weight * there))
    return shown, torch.from_numpy(width / count).to(shown[-1])


def adapted_losses(
    network: GateNetwork,
    rates: Mapping[str, Tensor | float],
    support: Padded,
    query: Padded,
    steps: int,
) -> Tensor:
    """Loss of each episode's queries after inner steps on its support, shape (e,); the outer gradient sees the steps.

    Args:
        network: Its weights are where every episode starts.
        rates: Of each weight that adapts, by its name; the others stay.
        support: What is learned from.
        query: What is judged on.
        steps: Inner steps.
    """
    members = network.config.members
    weights = dict(network.named_parameters())
    still = {name: weight for name, weight in weights.items() if name not in rates}

    def loss(moving: Mapping[str, Tensor], part: Padded) -> Tensor:
        (x, offsets, y, weight), scale = part
        return scale * gate_loss(functional_call(network, {**still, **moving}, (x, offsets)), y, weight)

    def one(support: Padded, query: Padded) -> Tensor:
        moving = {name: weights[name] for name in rates}
        for _ in range(steps):
            # Each member is a network of its own: with the mean over them the rate would mean less.
            slope = grad(lambda own: members * loss(own, support))(moving)
            moving = {name: weight - rates[name] * slope[name] for name, weight in moving.items()}
        return loss(moving, query)

    return vmap(one, randomness="different")(support, query)


def rates_of(network: GateNetwork, learner: nn.Module, rate: float) -> dict[str, Tensor | float]:
    """Of each weight that adapts its rate: one for all, or learned for each by Meta-SGD; in ANIL of the head alone.

    Args:
        network: What adapts.
        learner: What `metalcx.transfer._inner.wrap` made of it.
        rate: Where none is learned.
    """
    names = [name for name, _ in network.named_parameters()]
    if hasattr(learner, "lrs"):
        return dict(zip(names, learner.lrs, strict=True))  # type: ignore[arg-type]
    return {name: rate for name in names if not isinstance(learner, nn.ModuleList) or name.startswith("head.")}
