"""Convolutional networks for small images: plain and residual ones, and stacks of cells with branches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from metalcx.corpora.build._layers import activation_of, dropped, normed


class Block(nn.Module):
    """Convolution, norm, activation; adds its input where `residual`."""

    def __init__(self, channels: int, kernel: int, activation: str, norm: str, residual: bool) -> None:
        super().__init__()
        conv = nn.Conv2d(channels, channels, kernel, padding=kernel // 2)
        self.body = nn.Sequential(conv, *normed(norm, channels, 2), activation_of(activation))
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, height, width), the same out."""
        return x + self.body(x) if self.residual else self.body(x)


class MaxPool(nn.Module):
    """Maximum over windows, as `torch.nn.MaxPool2d`, by shifted maxima: several times as fast on small images.

    Args:
        kernel: 2 (without overlap; an odd row or column at the end is dropped) or 3 (stride 1, padded).
    """

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.kernel = kernel
        # Read by the tracer: one operation.
        self.graph_node: dict[str, Any] = {"op": "max_pool", "kernel": kernel, "stride": 2 if kernel == 2 else 1}

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, height, width) -> pooled."""
        if self.kernel == 2:
            h, w = x.shape[-2] // 2 * 2, x.shape[-1] // 2 * 2
            rows = torch.maximum(x[..., 0:h:2, :w], x[..., 1:h:2, :w])
            return torch.maximum(rows[..., 0::2], rows[..., 1::2])
        h, w = x.shape[-2:]
        padded = functional.pad(x, (1, 1, 1, 1), value=-torch.inf)
        rows = torch.maximum(torch.maximum(padded[..., :h, :], padded[..., 1 : h + 1, :]), padded[..., 2:, :])
        return torch.maximum(torch.maximum(rows[..., :w], rows[..., 1 : w + 1]), rows[..., 2:])


def _stem(shape: tuple[int, ...], channels: int, kernel: int, activation: str, norm: str) -> list[nn.Module]:
    conv = nn.Conv2d(shape[0], channels, kernel, padding=kernel // 2)
    return [conv, *normed(norm, channels, 2), activation_of(activation), MaxPool(2)]


def _head(channels: int, n_out: int, dropout: float) -> list[nn.Module]:
    pooled: list[nn.Module] = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return [*pooled, *dropped(dropout), nn.Linear(channels, n_out)]


def cnn(
    shape: tuple[int, ...],
    n_out: int,
    *,
    channels: int,
    blocks: int,
    kernel: int,
    activation: str,
    norm: str,
    residual: bool,
    dropout: float,
) -> nn.Module:
    """Stem with 2 x 2 max pooling, `blocks` blocks, global average pooling, linear read-out."""
    body = [Block(channels, kernel, activation, norm, residual) for _ in range(blocks)]
    return nn.Sequential(*_stem(shape, channels, kernel, activation, norm), *body, *_head(channels, n_out, dropout))


#: Operations on the edges of a cell.
EDGE_OPS = ("conv3", "conv1", "depthwise3", "avg-pool", "max-pool", "skip")


def _edge(op: str, channels: int, activation: str, norm: str) -> nn.Module:
    if op == "skip":
        return nn.Identity()
    if op == "avg-pool":
        return nn.AvgPool2d(3, stride=1, padding=1)
    if op == "max-pool":
        return MaxPool(3)
    kernel, groups = {"conv3": (3, 1), "conv1": (1, 1), "depthwise3": (3, channels)}[op]
    conv = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=groups)
    return nn.Sequential(activation_of(activation), conv, *normed(norm, channels, 2))


class Cell(nn.Module):
    """A small graph: node 0 is the input, each later node the sum of operations on earlier ones.

    Args:
        edges: (source, target, operation); each target from 1 on occurs.
        join: ``add`` or ``concat`` of the nodes that no edge reads.
        channels: In and out.
        activation: Before each convolution.
        norm: After each convolution.
    """

    def __init__(
        self, edges: Sequence[tuple[int, int, str]], join: str, channels: int, activation: str, norm: str
    ) -> None:
        super().__init__()
        self.ends = [(source, target) for source, target, _ in edges]
        self.ops = nn.ModuleList(_edge(op, channels, activation, norm) for _, _, op in edges)
        self.n_nodes = 1 + max(target for _, target in self.ends)
        sources = {source for source, _ in self.ends}
        self.leaves = [node for node in range(self.n_nodes) if node not in sources]
        wide = channels * len(self.leaves)
        self.mix = nn.Conv2d(wide, channels, 1) if join == "concat" and len(self.leaves) > 1 else None

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, height, width), the same out."""
        nodes: list[Tensor | None] = [x] + [None] * (self.n_nodes - 1)
        for (source, target), op in zip(self.ends, self.ops, strict=True):
            value = op(nodes[source])
            before = nodes[target]
            nodes[target] = value if before is None else before + value
        leaves = [value for value in (nodes[leaf] for leaf in self.leaves) if value is not None]
        if self.mix is not None:
            joined: Tensor = self.mix(torch.cat(leaves, 1))
            return joined
        total = leaves[0]
        for leaf in leaves[1:]:
            total = total + leaf
        return total


def cell_network(
    shape: tuple[int, ...],
    n_out: int,
    *,
    edges: Sequence[tuple[int, int, str]],
    join: str,
    cells: int,
    channels: int,
    activation: str,
    norm: str,
    dropout: float,
) -> nn.Module:
    """Stem with 2 x 2 max pooling, `cells` equal cells, global average pooling, linear read-out."""
    body = [Cell([(s, t, op) for s, t, op in edges], join, channels, activation, norm) for _ in range(cells)]
    return nn.Sequential(*_stem(shape, channels, 3, activation, norm), *body, *_head(channels, n_out, dropout))
