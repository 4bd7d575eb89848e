"""Proxies that need no gradient: which activations fire, and how far a small noise is carried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import log

import numpy as np
import torch
from torch import Tensor

from metalcx.encoders._batch import Graph, GraphBatch
from metalcx.encoders.proxies._network import Network, Proxy, Step, forward, graph_sums, in_chunks, normalised

#: How much noise is added to an image of noise, as published.
NOISE = 0.01

#: The least distance that is told from none.
LEAST = 1e-6


def nwot(graphs: Sequence[Graph] | GraphBatch, network: Network | None = None) -> Proxy:
    """Log-determinant of how many activations fire alike for each two images (Mellor et al. 2021, "NASWOT").

    K has for two images the number of activations, over all layers and a last one on the normalised features, that are
    on for both or off for both. Published is log |K|; here 1 is added to the diagonal, which keeps it finite where two
    images cannot be told apart. Images, where the paper has 128 of a dataset, are Gaussian noise.

    Args:
        graphs: Cells of operations of NAS-Bench-201 or SpikeNAS-Bench, or networks of NAS-Bench-Macro.
        network: Sizes and seed.

    Returns:
        Shape (graphs,).

    Raises:
        DataError: If a graph has another operation.
    """
    return in_chunks(graphs, network, _nwot)


@torch.inference_mode()
def _nwot(batch: GraphBatch, network: Network) -> Proxy:
    image, graph = network.images(network.random()), torch.from_numpy(batch.graph)
    alike = torch.zeros(len(batch), network.examples, network.examples)

    def seen(step: Step) -> None:
        if step.layer.threshold is not None:
            alike.index_add_(0, graph[step.nodes], _agreements(step.read > step.layer.threshold))

    x = forward(batch, network, image.expand(len(batch), *image.shape), seen)
    kernel = (alike + _agreements(normalised(x) > 0)).double() + torch.eye(network.examples)
    return np.asarray(torch.linalg.slogdet(kernel).logabsdet.numpy())


def _agreements(active: Tensor) -> Tensor:
    """Of (nodes, channels, examples, size, size): how many are the same for each two examples, whole numbers."""
    sign = (2.0 * active - 1).transpose(1, 2).flatten(2)
    return (sign @ sign.mT + sign.shape[2]) / 2


def zen(graphs: Sequence[Graph] | GraphBatch, network: Network | None = None, *, repeats: int = 2) -> Proxy:
    """Zen-score (Lin et al. 2021): how far features move with a small noise, had nothing been normalised.

    It is log E|f(x) - f(x + 0.01 e)| of the features before the mean over the image, for Gaussian x and e and Gaussian
    weights of variance 1, plus for every normalisation the log of the root of the mean variance that it took away.
    Published for networks without residual links, it is taken here with those that a graph has, as benchmarks of
    proxies do.

    Args:
        graphs: As in `nwot`.
        network: Sizes and seed.
        repeats: Draws of weights, images and noise, of which the mean is taken.

    Returns:
        Shape (graphs,); the log of 1e-6 for a cell that lets nothing through.

    Raises:
        DataError: If a graph has an operation for which no network is known.
    """
    network = network or Network()
    drawn = [replace(network, seed=network.seed + i) for i in range(repeats)]
    return np.asarray(np.mean([in_chunks(graphs, one, _zen) for one in drawn], axis=0))


@torch.inference_mode()
def _zen(batch: GraphBatch, network: Network) -> Proxy:
    random = network.random()
    image, noise = network.images(random), network.images(random)
    nodes: list[Tensor] = []
    taken: list[Tensor] = []

    def seen(step: Step) -> None:
        variance = step.values.var((2, 3, 4), correction=0).mean(1) + 1e-5
        # Weights of variance 1 give this many times more than those that there are.
        more = step.layer.fan_in(network.channels) / 2
        nodes.append(step.nodes)
        taken.append((variance.log() + log(more)) / 2)

    def features(images: Tensor) -> Tensor:
        return forward(batch, network, images.expand(len(batch), *images.shape), seen)

    far = (features(image + NOISE * noise) - features(image)).transpose(1, 2).flatten(2).norm(dim=2).mean(1)
    # Both passes counted, either half.
    return far.clamp(min=LEAST).log().double().numpy() + graph_sums(batch, nodes, taken) / 2
