"""Synaptic flow: how much of an image of ones passes through a network of absolute weights."""

from __future__ import annotations

from collections.abc import Sequence
from math import pi, sqrt

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from metalcx.encoders._batch import Graph, GraphBatch, as_batch
from metalcx.encoders.proxies._blocks import Layer, checked
from metalcx.encoders.proxies._network import Network, Proxy, through


def synflow(graphs: Sequence[Graph] | GraphBatch, network: Network | None = None) -> Proxy:
    """Synaptic flow of networks made of each cell (Tanaka et al. 2020): the sum over weights w of |w| dR/d|w|.

    R is what an image of ones sums up to in a network of absolute weights without activations and normalisation: a
    stem, the cell stacked, the mean over the image and a linear head. R is linear in every weight, and a path has each
    at most once; so the expectation over independent weights, which is what is returned, is synaptic flow at the mean
    |w| of Kaiming initialisation. Nothing is drawn, and as all channels are then alike, one is computed.

    Args:
        graphs: Cells of operations of NAS-Bench-201 or SpikeNAS-Bench, or networks of NAS-Bench-Macro.
        network: Sizes, by default five cells of 16 channels; the seed does not matter.

    Returns:
        Shape (graphs,); 0 for a cell that lets nothing through.

    Raises:
        DataError: If a graph has another operation.
    """
    network, batch = network or Network(cells=5, channels=16), checked(as_batch(graphs))
    scale = torch.ones(network.cells, len(batch.nodes), dtype=torch.float64, requires_grad=True)
    x = torch.ones(len(batch), 1, network.size, network.size, dtype=torch.float64)
    for own in scale:

        def apply(layer: Layer, place: int, nodes: Tensor, read: Tensor, own: Tensor = own) -> Tensor:
            # Every layer of a node has its scale, so that the gradient counts the weights of each.
            fan_in, kernel = layer.fan_in(network.channels), layer.kernel
            mean = sqrt(2 / fan_in) * sqrt(2 / pi)
            read = functional.avg_pool2d(read, kernel, 1, kernel // 2) * kernel**2
            return read * (own[nodes] * (fan_in // kernel**2) * mean)[:, None, None, None]

        x = through(batch, x, apply)
    total = x.mean((1, 2, 3))
    found = 2 * total.detach().numpy()  # the stem and the head, R for each
    if total.requires_grad:
        (gradient,) = torch.autograd.grad(total.sum(), scale)
        found += np.bincount(batch.graph, gradient.sum(0).numpy(), len(batch))
    return np.asarray(found)
