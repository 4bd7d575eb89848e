"""Layers that pass messages along the edges of many graphs at once, in plain torch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from metalcx.encoders._batch import GraphBatch, Level


class Edges(NamedTuple):
    """Directed edges: messages go from `source` to `target`, node numbers of shape (E,)."""

    source: Tensor
    target: Tensor


def undirected(batch: GraphBatch) -> Edges:
    """Every edge of the batch in both directions."""
    source, target = (torch.from_numpy(ends.copy()) for ends in batch.edges)
    return Edges(torch.cat([source, target]), torch.cat([target, source]))


def summed(values: Tensor, place: Tensor, n: int) -> Tensor:
    """Sums of the rows of `values` that share a place, shape (n, width).

    Args:
        values: Shape (rows, width).
        place: Where each row goes, shape (rows,), in 0..n-1.
        n: How many places there are.
    """
    return values.new_zeros(n, values.shape[1]).index_add(0, place, values)


def mean_pool(values: Tensor, batch: GraphBatch) -> Tensor:
    """Mean over the nodes of each graph, shape (graphs, width)."""
    sizes = torch.from_numpy(batch.offsets[1:] - batch.offsets[:-1]).to(values.dtype)
    return summed(values, torch.from_numpy(batch.graph), len(batch)) / sizes[:, None]


class GINLayer(nn.Module):
    """x_v <- MLP(x_v + sum of x over neighbours), after Xu et al. 2019 with epsilon 0.

    Args:
        before: Width of x.
        after: Width of the result, and of the hidden layer of the MLP.
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(before, after), nn.ReLU(), nn.Linear(after, after))

    def forward(self, x: Tensor, edges: Edges) -> Tensor:
        """New values of all nodes, shape (N, after)."""
        return self.mlp(x + summed(x[edges.source], edges.target, len(x)))


class GatedLayer(nn.Module):
    """A x_v + b + sum over neighbours u of sigmoid(K x_v + Q x_u) * V x_u, after Bresson and Laurent 2017.

    Args:
        width: Width of x and of the result.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.key = nn.Linear(width, width)
        self.read = nn.Linear(width, 2 * width)
        self.own = nn.Linear(width, width)

    def forward(self, x: Tensor, edges: Edges) -> Tensor:
        """New values of all nodes, shape (N, width)."""
        query, value = self.read(x)[edges.source].chunk(2, dim=1)
        gate = torch.sigmoid(self.key(x)[edges.target] + query)
        return self.own(x) + summed(gate * value, edges.target, len(x))


class FlowLayer(nn.Module):
    """Once along all edges, generation after generation, and once back: h_v <- GRU(x_v, sum of h over what it reads).

    After DAGNN (Thost and Chen 2021) and FlowerFormer (Hwang et al. 2024), without their attention: on the way back
    x is what the way there left.

    Args:
        width: Width of x and of the result.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.there = nn.GRUCell(width, width)
        self.back = nn.GRUCell(width, width)

    def forward(self, x: Tensor, there: Sequence[Level], back: Sequence[Level]) -> Tensor:
        """New values of all nodes, shape (N, width)."""
        return _walk(self.back, _walk(self.there, x, there), back)


def _walk(cell: nn.GRUCell, x: Tensor, levels: Sequence[Level]) -> Tensor:
    """Every node reads nothing first; those that read something are then written over, level by level."""
    h = cell(x, torch.zeros_like(x))
    for level in levels:
        nodes, sources = torch.from_numpy(level.nodes), torch.from_numpy(level.sources)
        sizes = torch.from_numpy(level.start).diff(append=torch.tensor([len(sources)]))
        place = torch.repeat_interleave(torch.arange(len(nodes)), sizes)
        new = cell(x[nodes], summed(h[sources], place, len(nodes)))
        # In place a gradient would not find what it needs.
        h = h.index_copy(0, nodes, new) if h.requires_grad else h.index_copy_(0, nodes, new)
    return h


def mlp(*widths: int) -> nn.Sequential:
    """Linear layers of these widths with ReLU in between."""
    layers = [(nn.Linear(a, b), nn.ReLU()) for a, b in pairwise(widths)]
    return nn.Sequential(*[layer for pair in layers for layer in pair][:-1])
