"""Zero-cost proxies: equal to those of networks built one at a time with torch's own layers."""

from __future__ import annotations

from math import pi, sqrt

import numpy as np
import pytest
import torch
from torch.nn import functional

from metalcx.encoders import GraphBatch, gradient_norm, known_proxy, macs, parameters, synflow
from metalcx.encoders._proxies import _slots, _weights
from metalcx.errors import DataError
from metalcx.graphs import ArchGraph

from .made_graphs import CUT_OFF, cell, chain_of, random_cells, renumbered

CELLS = [*random_cells(12), cell(*["nor_conv_3x3"] * 6), cell(*["skip_connect"] * 6), CUT_OFF]


def through(graph: ArchGraph, x: torch.Tensor, convolve) -> torch.Tensor:
    """What the output of one graph reads, node by node."""
    order = np.argsort(GraphBatch.from_graphs([graph]).generation, kind="stable").tolist()
    values: dict[int, torch.Tensor] = {}
    for i in order:
        read = sum((values[s] for s, t in graph.edges if t == i), torch.zeros_like(x))
        op = graph.nodes[i]["op"]
        if op == "input":
            values[i] = x
        elif op == "avg_pool_3x3":
            values[i] = functional.avg_pool2d(read, 3, 1, 1, count_include_pad=False)
        elif op.startswith("nor_conv"):
            values[i] = convolve(i, int(op[-1]), read)
        else:
            values[i] = read
    return values[next(i for i in order if graph.nodes[i]["op"] == "output")]


@pytest.mark.parametrize("graph", CELLS)
def test_synflow_is_that_of_a_network_of_mean_absolute_weights(graph):
    channels, cells, size = 4, 2, 6
    weights: list[torch.Tensor] = []

    def convolve(i, kernel, read):
        mean = sqrt(2 / (channels * kernel**2)) * sqrt(2 / pi)
        shape = (channels, channels, kernel, kernel)
        weights.append(torch.full(shape, mean, dtype=torch.float64, requires_grad=True))
        return functional.conv2d(read, weights[-1], padding=kernel // 2)

    x = torch.ones(1, channels, size, size, dtype=torch.float64)
    for _ in range(cells):
        x = through(graph, x, convolve)
    total = x.mean((2, 3)).sum() / channels
    gradients = torch.autograd.grad(total, weights) if weights else []
    own = sum(float((w.detach() * g).sum()) for w, g in zip(weights, gradients, strict=True))
    expected = own + 2 * float(total.detach())
    found = synflow([graph], cells=cells, channels=channels, size=size)
    np.testing.assert_allclose(found[0], expected, rtol=1e-9)


def test_synflow_is_the_mean_over_random_weights():
    """One convolution twice in a row: |w| of independent weights on average, so R is what the mean |w| gives."""
    graph, channels, random = cell("nor_conv_3x3", "none", "none", "none", "nor_conv_1x1", "none"), 3, torch.Generator()
    random.manual_seed(0)
    found = []
    for _ in range(2000):

        def convolve(i, kernel, read):
            std = sqrt(2 / (channels * kernel**2))
            w = torch.randn(channels, channels, kernel, kernel, generator=random, dtype=torch.float64).abs() * std
            return functional.conv2d(read, w, padding=kernel // 2)

        x = torch.ones(1, channels, 4, 4, dtype=torch.float64)
        # Two convolutions, a stem and a head, each linear: four times R.
        found.append(4 * float(through(graph, x, convolve).mean((2, 3)).sum() / channels))
    assert synflow([graph], cells=1, channels=channels, size=4)[0] == pytest.approx(np.mean(found), rel=0.04)


@pytest.mark.parametrize("graph", CELLS)
def test_gradient_norms_are_those_of_one_network_at_a_time(graph):
    channels, cells, size, examples, seed = 3, 2, 5, 4, 7
    slots = _slots(GraphBatch.from_graphs([graph]))
    random = torch.Generator().manual_seed(seed)
    image = torch.randn(channels, examples, size, size, generator=random).relu()
    head = torch.randn(10, channels, generator=random) / sqrt(channels)
    labels = torch.randint(10, (examples,), generator=random)
    weights: list[torch.Tensor] = []
    x = image.transpose(0, 1)
    for position in range(cells):

        def convolve(i, kernel, read, position=position):
            w = _weights(int(slots[i]) + 1, kernel, channels, [seed, position, kernel])[slots[i]]
            w = w.reshape(channels, kernel, kernel, channels).permute(0, 3, 1, 2).contiguous().requires_grad_()
            weights.append(w)
            return functional.batch_norm(
                functional.conv2d(read.relu(), w, padding=kernel // 2), None, None, training=True
            )

        x = through(graph, x, convolve)
    loss = functional.cross_entropy(x.mean((2, 3)) @ head.T, labels)
    gradients = torch.autograd.grad(loss, weights) if weights else []
    sizes = {"cells": cells, "channels": channels, "size": size, "examples": examples, "seed": seed}
    np.testing.assert_allclose(
        gradient_norm([graph], **sizes)[0], sum(float(g.norm()) for g in gradients), rtol=1e-3, atol=1e-6
    )


def test_other_cells_do_not_matter():
    np.testing.assert_allclose(synflow(CELLS)[3:5], synflow(CELLS[3:5]), rtol=1e-12)
    whole = gradient_norm(CELLS, chunk=100)
    np.testing.assert_allclose(gradient_norm(CELLS, chunk=4), whole, rtol=1e-3, atol=1e-6)


def test_numbering_does_not_matter_to_synflow():
    turned = [renumbered(graph, list(range(len(graph.nodes)))[::-1]) for graph in CELLS]
    np.testing.assert_allclose(synflow(turned), synflow(CELLS), rtol=1e-12)


def test_nothing_flows_through_a_cut():
    assert synflow([CUT_OFF]) == gradient_norm([CUT_OFF]) == 0
    assert (synflow([cell(*["skip_connect"] * 6)]) > 0).all()


def test_counts_and_what_they_are_for():
    counted = ArchGraph(
        ({"op": "input"}, {"op": "conv", "params": 3, "macs": 5}, {"op": "output", "params": 4}), ((0, 1), (1, 2))
    )
    assert parameters([CUT_OFF, counted]).tolist() == [0, 7]
    assert macs([CUT_OFF, counted]).tolist() == [0, 5]
    for proxy in (synflow, gradient_norm):
        with pytest.raises(DataError, match=r"no network is known for operations 'relu'; use parameters or macs"):
            proxy([CUT_OFF, chain_of(2)])


def test_the_best_proxy_that_is_known():
    name, values = known_proxy(CELLS)
    assert name == "synflow"
    np.testing.assert_array_equal(values, synflow(CELLS))
    counted = [
        ArchGraph(({"op": "input"}, {"op": "fc", "macs": n}, {"op": "output"}), ((0, 1), (1, 2))) for n in (3, 9)
    ]
    assert known_proxy(counted)[0] == "macs"
    name, values = known_proxy([chain_of(2), chain_of(3)])
    assert name is None
    assert np.isnan(values).all()
