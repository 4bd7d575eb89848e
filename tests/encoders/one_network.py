"""One untrained network at a time with torch's own layers: what proxies of many at once are held against."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from metalcx.encoders import GraphBatch, Network
from metalcx.encoders.proxies._blocks import Layer, block_of
from metalcx.encoders.proxies._network import _weights
from metalcx.encoders.proxies._order import ordered
from metalcx.graphs import ArchGraph


def through(graph: ArchGraph, x: Tensor, convolve: Callable[[int, int, Layer, Tensor], Tensor]) -> Tensor:
    """What the output of one graph reads, node by node; `convolve` gets node, place in the block, layer and values."""
    order = np.argsort(GraphBatch.from_graphs([graph]).generation, kind="stable").tolist()
    values: dict[int, Tensor] = {}
    for i in order:
        read = sum((values[s] for s, t in graph.edges if t == i), torch.zeros_like(x))
        op = graph.nodes[i]["op"]
        if op == "input":
            values[i] = x
        elif op.startswith("avg_pool"):
            values[i] = functional.avg_pool2d(read, 3, 1, 1, count_include_pad=False)
        else:
            values[i] = read
            for place, layer in enumerate(block_of(op).layers):
                values[i] = convolve(i, place, layer, values[i])
            values[i] = values[i] + read if op.startswith("mbconv") else values[i]
    return values[next(i for i in order if graph.nodes[i]["op"] == "output")]


class OneNetwork:
    """The network of one graph, in batch-first tensors; it keeps what its layers read, have and give.

    Args:
        graph: The graph.
        network: Sizes and seed.
        gain: Factor of all weights, by fan-in.
    """

    def __init__(self, graph: ArchGraph, network: Network, gain: Callable[[int], float] = lambda fan_in: 1.0) -> None:
        # In the order of the nodes by which their weights are dealt out.
        batch = ordered(GraphBatch.from_graphs([graph]))
        self.graph = ArchGraph(tuple(batch.nodes), tuple(map(tuple, batch.edges.T.tolist())))
        self.network, self.gain = network, gain
        self.active: list[Tensor] = []
        self.weights: list[Tensor] = []
        self.given: list[Tensor] = []

    def __call__(self, x: Tensor) -> Tensor:
        """Features, shape (examples, channels, size, size)."""
        for cell in range(self.network.cells):

            def convolve(i: int, place: int, layer: Layer, read: Tensor, cell: int = cell) -> Tensor:
                seed = (self.network.seed, cell, place, i)
                fan_in = layer.fan_in(self.network.channels)
                w = _weights(layer, self.network.channels, seed) * self.gain(fan_in)
                # Of a depthwise layer there is one channel in, else the shifts come first.
                w = w.reshape(len(w), layer.kernel, layer.kernel, -1).permute(0, 3, 1, 2).contiguous().requires_grad_()
                if layer.threshold is not None:
                    self.active.append(read > layer.threshold)
                    read = functional.relu(read - layer.threshold)
                groups = len(w) if layer.depthwise else 1
                self.weights.append(w)
                self.given.append(functional.conv2d(read, w, padding=layer.kernel // 2, groups=groups))
                return functional.batch_norm(self.given[-1], None, None, training=True)

            x = through(self.graph, x, convolve)
        return x
