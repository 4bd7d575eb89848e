"""Proxies that need one backward pass: gradients of a loss in each convolution, and of the features in the images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import sqrt
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from metalcx.encoders._batch import Graph, GraphBatch
from metalcx.encoders.proxies._network import Network, Proxy, Step, forward, graph_sums, in_chunks, normalised

CLASSES = 10

#: Added to eigenvalues, as published.
SMALL = 1e-5


def gradient_norm(graphs: Sequence[Graph] | GraphBatch, network: Network | None = None) -> Proxy:
    """Norms of the gradient of a cross-entropy in each convolution, summed (Abdelfattah et al. 2021).

    The networks end in the mean over the image and a linear head with ten classes. Images, where the paper has those
    of a dataset, are Gaussian noise; they, the labels and the head are drawn once for all networks.

    Args:
        graphs: Cells of operations of NAS-Bench-201 or SpikeNAS-Bench, or networks of NAS-Bench-Macro.
        network: Sizes and seed.

    Returns:
        Shape (graphs,); 0 for a cell without a convolution, and for one that lets nothing through.

    Raises:
        DataError: If a graph has another operation.
    """
    return _of_convolutions(graphs, network, "weights", lambda w, g: g.double().square().sum((1, 2)).sqrt())


def snip(graphs: Sequence[Graph] | GraphBatch, network: Network | None = None) -> Proxy:
    """What the loss would change by without each weight, summed: |w dL/dw| (Lee et al. 2019).

    Arguments, networks and result are those of `gradient_norm`.
    """
    return _of_convolutions(graphs, network, "weights", lambda w, g: (w * g).abs().sum((1, 2)))


def fisher(graphs: Sequence[Graph] | GraphBatch, network: Network | None = None) -> Proxy:
    """What the loss would change by without each channel of what the convolutions give, squared (Turner et al. 2020).

    For an activation a, this is the mean over examples of (sum over places of a dL/da)² / 2, summed over channels.
    Arguments, networks and result are those of `gradient_norm`.
    """
    return _of_convolutions(graphs, network, "values", lambda a, g: (a * g).sum((3, 4)).square().mean(2).sum(1) / 2)


def _of_convolutions(
    graphs: Sequence[Graph] | GraphBatch,
    network: Network | None,
    name: Literal["weights", "values"],
    measure: Callable[[Tensor, Tensor], Tensor],
) -> Proxy:
    """Sums over convolutions of what is measured on their weights or values and the gradient of the loss in them."""

    def proxy(batch: GraphBatch, network: Network) -> Proxy:
        steps: list[Step] = []
        loss = _loss(batch, network, steps)
        if not steps:
            return np.zeros(len(batch))
        parts: list[Tensor] = [getattr(step, name) for step in steps]
        gradients = torch.autograd.grad(loss, parts)
        measured = [measure(part.detach(), g) for part, g in zip(parts, gradients, strict=True)]
        return graph_sums(batch, [step.nodes for step in steps], measured)

    return in_chunks(graphs, network, proxy)


def _loss(batch: GraphBatch, network: Network, steps: list[Step]) -> Tensor:
    """The sum over networks of the mean over examples; what comes on the way goes into `steps`."""
    random = network.random()
    image = network.images(random)
    head = torch.randn(CLASSES, network.channels, generator=random) / sqrt(network.channels)
    labels = torch.randint(CLASSES, (network.examples,), generator=random)
    x = forward(batch, network, image.expand(len(batch), *image.shape), steps.append)
    scores = torch.einsum("kc,ncb->nbk", head, x.mean((3, 4)))
    loss = functional.cross_entropy(scores.flatten(0, 1), labels.repeat(len(batch)), reduction="sum")
    return loss / network.examples


def jacob_cov(graphs: Sequence[Graph] | GraphBatch, network: Network | None = None) -> Proxy:
    """How little the gradients of the features in different images are alike (Mellor et al. 2020, version 1).

    The features are normalised, activated and weighed by channel, and the gradient of their sum in each image is a row;
    with v the eigenvalues of the correlations of rows, the score is minus the sum of log(v + k) + 1 / (v + k), where
    k = 1e-5. Images, where the paper has those of a dataset, are Gaussian noise. Rows that do not vary correlate as if
    they were the same.

    Args:
        graphs: As in `gradient_norm`.
        network: Sizes and seed.

    Returns:
        Shape (graphs,); -1e5 times the examples but one, about, where all rows are alike.

    Raises:
        DataError: If a graph has an operation for which no network is known.
    """
    return in_chunks(graphs, network, _jacob_cov)


def _jacob_cov(batch: GraphBatch, network: Network) -> Proxy:
    random = network.random()
    image, weight = network.images(random), torch.randn(network.channels, generator=random)
    x = image.expand(len(batch), *image.shape).clone().requires_grad_()
    # Without the activation the sum of what is normalised would not depend on the images.
    features = normalised(forward(batch, network, x, lambda step: None)).relu()
    (gradient,) = torch.autograd.grad((features * weight[:, None, None, None]).sum(), x)
    rows = gradient.transpose(1, 2).flatten(2).double()
    rows = rows - rows.mean(2, keepdim=True)
    size = rows.norm(dim=2, keepdim=True)
    rows = torch.where(size > 0, rows / size, 1 / sqrt(rows.shape[2]))
    value = torch.linalg.eigvalsh(rows @ rows.mT).clamp(min=0) + SMALL
    return np.asarray(-(value.log() + 1 / value).sum(1).numpy())
