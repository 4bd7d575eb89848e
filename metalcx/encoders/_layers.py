"""Layers that pass messages along the edges of many graphs at once, in plain torch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Edges(NamedTuple):
    """Directed edges: messages go from `source` to `target`, node numbers of shape (E,)."""

    source: Tensor
    target: Tensor


class Wave(NamedTuple):
    """What is walked at once: nodes that read from earlier ones only, and what each reads.

    Attributes:
        nodes: Which, shape (m,).
        sources: Whom they read, shape (e,).
        place: For each of these, who reads it, a place in `nodes`, shape (e,).
    """

    nodes: Tensor
    sources: Tensor
    place: Tensor


def summed(values: Tensor, place: Tensor, n: int) -> Tensor:
    """Sums of the rows of `values` that share a place, shape (n, width).

    Args:
        values: Shape (rows, width).
        place: Where each row goes, shape (rows,), in 0..n-1.
        n: How many places there are.
    """
    return values.new_zeros(n, values.shape[1]).scatter_add(0, place[:, None].expand_as(values), values)


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


class Cell(nn.Module):
    """A gated recurrent unit; torch's own cannot be stacked.

    Args:
        width: Width of what it reads and of what it keeps.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.read = nn.Linear(width, 3 * width)
        self.keep = nn.Linear(width, 3 * width)

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        """What it keeps then, shape (n, width), having read x of that shape and kept h."""
        reset, update, new = self.read(x).chunk(3, dim=1)
        reset_h, update_h, new_h = self.keep(h).chunk(3, dim=1)
        new = torch.tanh(new + torch.sigmoid(reset + reset_h) * new_h)
        return torch.lerp(new, h, torch.sigmoid(update + update_h))


class FlowLayer(nn.Module):
    """Once along all edges, generation after generation, and once back: h_v <- GRU(x_v, sum of h over what it reads).

    After DAGNN (Thost and Chen 2021) and FlowerFormer (Hwang et al. 2024), without their attention: on the way back
    x is what the way there left.

    Args:
        width: Width of x and of the result.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.there = Cell(width)
        self.back = Cell(width)

    def forward(self, x: Tensor, there: Sequence[Wave], back: Sequence[Wave]) -> Tensor:
        """New values of all nodes, shape (N, width)."""
        return _walk(self.back, _walk(self.there, x, there), back)


def _walk(cell: Cell, x: Tensor, levels: Sequence[Wave]) -> Tensor:
    """Every node reads nothing first; those that read something are then written over, level by level."""
    h = cell(x, torch.zeros_like(x))
    for nodes, sources, place in levels:
        new = cell(x[nodes], summed(h[sources], place, len(nodes)))
        index = nodes[:, None].expand_as(new)
        # In place a gradient would not find what it needs, and neither would a stack.
        h = h.scatter_(0, index, new) if torch.is_inference_mode_enabled() else h.scatter(0, index, new)
    return h


def mlp(*widths: int) -> nn.Sequential:
    """Linear layers of these widths with ReLU in between."""
    layers = [(nn.Linear(a, b), nn.ReLU()) for a, b in pairwise(widths)]
    return nn.Sequential(*[layer for pair in layers for layer in pair][:-1])
