"""Untrained networks made of graphs, many at once: what all of them give for the same images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import sqrt
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from metalcx.encoders._batch import Graph, GraphBatch, as_batch
from metalcx.encoders._layers import summed
from metalcx.encoders.proxies._blocks import Block, Layer, block_of, checked
from metalcx.encoders.proxies._order import ordered
from metalcx.errors import DataError

Proxy = npt.NDArray[np.float64]

#: A layer of all nodes that have it at once: (layer, its place in the block, nodes, values read) -> values.
Apply = Callable[[Layer, int, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Network:
    """Sizes of the untrained networks that are made of graphs.

    Args:
        cells: How often a graph is stacked; 1 for graphs that are whole networks, as those of NAS-Bench-Macro.
        channels: Of what passes between operations.
        size: Side of the images, which keep it.
        examples: Images.
        seed: Of weights, images and labels.
        chunk: Networks that are computed at once.

    Raises:
        DataError: If a size is less than 1, or there are fewer than two images.
    """

    cells: int = 3
    channels: int = 8
    size: int = 8
    examples: int = 16
    seed: int = 0
    chunk: int = 64

    def __post_init__(self) -> None:
        if min(self.cells, self.channels, self.size, self.chunk) < 1 or self.examples < 2:
            raise DataError("cells, channels, size and chunk are at least 1, and there are 2 examples or more")

    def random(self) -> torch.Generator:
        """Where images, and whatever else is the same for all networks, are drawn from."""
        return torch.Generator().manual_seed(self.seed)

    def images(self, random: torch.Generator) -> Tensor:
        """Gaussian noise in the place of what a stem gives, shape (channels, examples, size, size)."""
        return torch.randn(self.channels, self.examples, self.size, self.size, generator=random)


class Step(NamedTuple):
    """A layer of some nodes at work.

    Attributes:
        layer: The layer.
        nodes: Which nodes have it, shape (m,).
        read: What it reads, before its activation, shape (m, channels, examples, size, size).
        weights: Of its convolution, shape (m, channels given, weights of each).
        values: What the convolution gives, before its normalisation, shape as of `read` but for the channels.
    """

    layer: Layer
    nodes: Tensor
    read: Tensor
    weights: Tensor
    values: Tensor


def in_chunks(
    graphs: Sequence[Graph] | GraphBatch,
    network: Network | None,
    proxy: Callable[[GraphBatch, Network], npt.ArrayLike],
) -> Proxy:
    """A proxy of all graphs, shape (graphs,), a few networks at a time.

    Raises:
        DataError: If there is an operation for which no network is known.
    """
    network = network or Network()
    batch = ordered(checked(as_batch(graphs)))
    parts = [np.arange(i, min(i + network.chunk, len(batch))) for i in range(0, len(batch), network.chunk)]
    found = [np.asarray(proxy(batch.take(part), network), dtype=np.float64) for part in parts]
    return np.concatenate([np.zeros(0), *found])


def forward(batch: GraphBatch, network: Network, x: Tensor, seen: Callable[[Step], None]) -> Tensor:
    """What networks of some graphs, their nodes in order, make of images.

    A layer is its activation, a convolution of Kaiming's weights, and a normalisation over the examples. The nth node
    of a graph has the same weights in every network, and other weights than any other node and in every cell.

    Args:
        batch: The graphs.
        network: Sizes.
        x: Of the images, shape (graphs, channels, examples, size, size).
        seen: Called with every step.

    Returns:
        Features before the mean over the image, shape of `x`.
    """
    rank = torch.arange(len(batch.nodes)) - torch.from_numpy(batch.offsets[batch.graph])
    for cell in range(network.cells):

        def apply(layer: Layer, place: int, nodes: Tensor, read: Tensor, cell: int = cell) -> Tensor:
            own, slot = rank[nodes].unique(return_inverse=True)
            drawn = [_weights(layer, network.channels, (network.seed, cell, place, i)) for i in own.tolist()]
            weights = torch.stack(drawn)[slot].requires_grad_(torch.is_grad_enabled())
            active = read if layer.threshold is None else (read - layer.threshold).relu()
            values = convolved(active, weights, layer)
            seen(Step(layer, nodes, read, weights, values))
            return normalised(values)

        x = through(batch, x, apply)
    return x


def through(batch: GraphBatch, x: Tensor, apply: Apply) -> Tensor:
    """What each graph's output reads when its inputs are given x, shape of x: (graphs, channels, ...)."""
    words = batch.words
    is_input = torch.from_numpy(words == "input").reshape(-1, *[1] * (x.ndim - 1))
    values = x[torch.from_numpy(batch.graph)] * is_input
    for level in batch.levels():
        nodes, sources = torch.from_numpy(level.nodes), torch.from_numpy(level.sources)
        sizes = torch.from_numpy(level.start).diff(append=torch.tensor([len(sources)]))
        place = torch.repeat_interleave(torch.arange(len(nodes)), sizes)
        read = summed(values[sources].flatten(1), place, len(nodes)).reshape(len(nodes), *x.shape[1:])
        for word in sorted(set(words[level.nodes])):
            here = torch.from_numpy(np.flatnonzero(words[level.nodes] == word))
            block = block_of(word)
            assert block is not None, "`checked` comes first"
            # In place: no gradient asks for what stood there.
            values = values.index_copy_(0, nodes[here], _operation(block, nodes[here], read[here], apply))
    return values[torch.from_numpy(np.flatnonzero(words == "output"))]


def _operation(block: Block, nodes: Tensor, read: Tensor, apply: Apply) -> Tensor:
    values = read
    if block.pool:
        images = read.flatten(0, -4)
        window = (block.pool, 1, block.pool // 2)
        values = functional.avg_pool2d(images, *window, count_include_pad=False).reshape(read.shape)
    for place, layer in enumerate(block.layers):
        values = apply(layer, place, nodes, values)
    return values + read if block.residual else values


def convolved(read: Tensor, weights: Tensor, layer: Layer) -> Tensor:
    """Each node's values by its own weights, which are the shifts of the kernel, and for each shift the channels read.

    Args:
        read: Shape (nodes, channels, examples, size, size).
        weights: Shape (nodes, channels given, weights of each).
        layer: Of all these nodes.
    """
    half, side = layer.kernel // 2, read.shape[-1]
    padded = functional.pad(read, [half] * 4)
    steps = range(layer.kernel)
    shifts = [padded[..., i : i + side, j : j + side] for i in steps for j in steps]
    if layer.depthwise:
        terms = [shift * weights[:, :, i, None, None, None] for i, shift in enumerate(shifts)]
        return torch.stack(terms).sum(0)
    patches = torch.stack(shifts, 1).reshape(len(read), weights.shape[2], -1)
    return (weights @ patches).reshape(len(read), -1, *read.shape[2:])


def normalised(values: Tensor) -> Tensor:
    """Each channel with mean 0 and variance 1 over examples and places, as batch normalisation begins."""
    variance, mean = torch.var_mean(values, dim=(2, 3, 4), correction=0, keepdim=True)
    return (values - mean) / (variance + 1e-5).sqrt()


def graph_sums(batch: GraphBatch, nodes: Sequence[Tensor], values: Sequence[Tensor]) -> Proxy:
    """Sums over each graph of what some of its nodes have, shape (graphs,)."""
    if not len(nodes):
        return np.zeros(len(batch))
    graph = batch.graph[torch.cat(list(nodes)).numpy()]
    return np.asarray(np.bincount(graph, torch.cat(list(values)).double().numpy(), len(batch)), dtype=np.float64)


@lru_cache(maxsize=4096)
def _weights(layer: Layer, channels: int, seed: tuple[int, ...]) -> Tensor:
    """One convolution by Kaiming, shape (channels given, weights of each)."""
    fan_in = layer.fan_in(channels)
    random = np.random.default_rng([*seed, layer.kernel])
    drawn = random.normal(0.0, sqrt(2 / fan_in), (layer.writes * channels, fan_in))
    return torch.from_numpy(drawn.astype(np.float32))
