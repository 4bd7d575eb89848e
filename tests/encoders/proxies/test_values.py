"""Zero-cost proxies: equal to those of networks built one at a time with torch's own layers."""

from __future__ import annotations

from dataclasses import replace
from math import log, pi, sqrt

import numpy as np
import pytest
import torch
from torch.nn import functional

from metalcx.encoders import Network, fisher, gradient_norm, jacob_cov, nwot, snip, synflow, zen
from metalcx.encoders.proxies import PROXIES
from metalcx.errors import DataError
from metalcx.graphs import ArchGraph, from_cell_6edge, from_nasbench_macro

from ..made_graphs import CUT_OFF, cell, chain_of, random_cells, renumbered
from ..one_network import OneNetwork, through

CELLS = [*random_cells(6), cell(*["nor_conv_3x3"] * 6), cell(*["skip_connect"] * 6), CUT_OFF]
SPIKING = from_cell_6edge("lif0.5_conv3x3|lif1.5_conv3x3|skip|zero|lif1.0_conv3x3|lif0.5_conv3x3")
MACRO = from_nasbench_macro("01200210")
GRAPHS = [*CELLS, SPIKING, MACRO]
SMALL = Network(cells=2, channels=3, size=5, examples=4, seed=7)


def image_and_more(network: Network) -> tuple[torch.Tensor, torch.Generator]:
    """Images of shape (examples, channels, size, size), and the generator after them."""
    random = network.random()
    return network.images(random).transpose(0, 1), random


@pytest.mark.parametrize("graph", GRAPHS)
def test_synflow_is_that_of_a_network_of_mean_absolute_weights(graph):
    channels, cells, size = 4, 2, 6
    weights: list[torch.Tensor] = []

    def convolve(i, place, layer, read):
        fan_in, out = layer.fan_in(channels), layer.writes * channels
        shape = (out, 1 if layer.depthwise else read.shape[1], layer.kernel, layer.kernel)
        mean = sqrt(2 / fan_in) * sqrt(2 / pi)
        weights.append(torch.full(shape, mean, dtype=torch.float64, requires_grad=True))
        groups = out if layer.depthwise else 1
        return functional.conv2d(read, weights[-1], padding=layer.kernel // 2, groups=groups)

    x = torch.ones(1, channels, size, size, dtype=torch.float64)
    for _ in range(cells):
        x = through(graph, x, convolve)
    total = x.mean((2, 3)).sum() / channels
    gradients = torch.autograd.grad(total, weights) if weights else []
    own = sum(float((w.detach() * g).sum()) for w, g in zip(weights, gradients, strict=True))
    expected = own + 2 * float(total.detach())
    found = synflow([graph], Network(cells=cells, channels=channels, size=size))
    np.testing.assert_allclose(found[0], expected, rtol=1e-9)


def test_synflow_is_the_mean_over_random_weights():
    """One convolution twice in a row: |w| of independent weights on average, so R is what the mean |w| gives."""
    graph, channels, random = cell("nor_conv_3x3", "none", "none", "none", "nor_conv_1x1", "none"), 3, torch.Generator()
    random.manual_seed(0)
    found = []
    for _ in range(800):

        def convolve(i, place, layer, read):
            std = sqrt(2 / layer.fan_in(channels))
            shape = (channels, channels, layer.kernel, layer.kernel)
            w = torch.randn(shape, generator=random, dtype=torch.float64).abs() * std
            return functional.conv2d(read, w, padding=layer.kernel // 2)

        x = torch.ones(1, channels, 4, 4, dtype=torch.float64)
        # Two convolutions, a stem and a head, each linear: four times R.
        found.append(4 * float(through(graph, x, convolve).mean((2, 3)).sum() / channels))
    assert synflow([graph], Network(cells=1, channels=channels, size=4))[0] == pytest.approx(np.mean(found), rel=0.06)


@pytest.mark.parametrize("graph", GRAPHS)
def test_gradients_are_those_of_one_network_at_a_time(graph):
    image, random = image_and_more(SMALL)
    head = torch.randn(10, SMALL.channels, generator=random) / sqrt(SMALL.channels)
    labels = torch.randint(10, (SMALL.examples,), generator=random)
    one = OneNetwork(graph, SMALL)
    loss = functional.cross_entropy(one(image).mean((2, 3)) @ head.T, labels)
    parts = [*one.weights, *one.given]
    gradients = torch.autograd.grad(loss, parts) if parts else []
    half = len(one.weights)
    norms = sum(float(g.norm()) for g in gradients[:half])
    saliency = sum(float((w.detach() * g).abs().sum()) for w, g in zip(one.weights, gradients[:half], strict=True))
    activity = sum(
        float((a.detach() * g).sum((2, 3)).square().mean(0).sum() / 2)
        for a, g in zip(one.given, gradients[half:], strict=True)
    )
    for proxy, expected in ((gradient_norm, norms), (snip, saliency), (fisher, activity)):
        np.testing.assert_allclose(proxy([graph], SMALL)[0], expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("graph", GRAPHS)
def test_jacob_cov_is_that_of_one_network_at_a_time(graph):
    image, random = image_and_more(SMALL)
    weight = torch.randn(SMALL.channels, generator=random)
    image = image.clone().requires_grad_()
    features = functional.batch_norm(OneNetwork(graph, SMALL)(image), None, None, training=True).relu()
    total, alike = functional.conv2d(features, weight[None, :, None, None]).sum(), np.ones([SMALL.examples] * 2)
    if total.requires_grad:  # not where the images go nowhere
        alike = np.corrcoef(torch.autograd.grad(total, image)[0].flatten(1).double().numpy())
    values = np.linalg.eigvalsh(alike) + 1e-5
    expected = -np.sum(np.log(values) + 1 / values)
    np.testing.assert_allclose(jacob_cov([graph], SMALL)[0], expected, rtol=1e-3)


@pytest.mark.parametrize("graph", GRAPHS)
def test_nwot_counts_activations_that_agree(graph):
    one = OneNetwork(graph, SMALL)
    x = one(image_and_more(SMALL)[0])
    one.active.append(functional.batch_norm(x, None, None, training=True) > 0)
    codes = np.concatenate([active.flatten(1).numpy() for active in one.active], axis=1)
    kernel = [[float((a == b).sum()) for b in codes] for a in codes]
    sign, expected = np.linalg.slogdet(np.array(kernel) + np.eye(SMALL.examples))
    assert sign == 1
    np.testing.assert_allclose(nwot([graph], SMALL)[0], expected, rtol=1e-4)


@pytest.mark.parametrize("graph", GRAPHS)
def test_zen_is_published_on_weights_of_variance_one(graph):
    scores = []
    for seed in (SMALL.seed, SMALL.seed + 1):
        network = replace(SMALL, seed=seed)
        image, random = image_and_more(network)
        noise = network.images(random).transpose(0, 1)
        moved, still = (OneNetwork(graph, network, lambda fan_in: sqrt(fan_in / 2)) for _ in range(2))
        far = (moved(image + 0.01 * noise) - still(image)).flatten(1).norm(dim=1).mean().detach()
        taken = [
            [float(v.detach().var((0, 2, 3), correction=0).mean().sqrt().log()) for v in n.given]
            for n in (moved, still)
        ]
        scores.append(log(max(float(far), 1e-6)) + np.sum(taken) / 2)
    np.testing.assert_allclose(zen([graph], SMALL)[0], np.mean(scores), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", PROXIES)
def test_neither_other_graphs_nor_numbers_of_nodes_matter(name):
    proxy, sizes = PROXIES[name], replace(SMALL, chunk=100)
    whole = proxy(GRAPHS, sizes)
    assert np.isfinite(whole).all()
    assert len(np.unique(whole)) > 6
    near = {"rtol": 1e-3, "atol": 1e-5}
    np.testing.assert_allclose(proxy(GRAPHS[3:], replace(sizes, chunk=2)), whole[3:], **near)
    random = np.random.default_rng(0)
    turned = [renumbered(graph, random.permutation(len(graph.nodes)).tolist()) for graph in GRAPHS]
    np.testing.assert_allclose(proxy(turned, sizes), whole, **near)


def test_who_reads_what_of_alike_nodes_decides_no_weights():
    """Two chains side by side, numbered alike and crosswise: a labelling by colour alone would mix them up."""
    nodes = ({"op": "input"}, *({"op": "nor_conv_3x3"} for _ in range(4)), {"op": "output"})
    straight = ArchGraph(nodes, ((0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 5)))
    crossed = ArchGraph(nodes, ((0, 1), (0, 2), (1, 4), (2, 3), (3, 5), (4, 5)))
    for proxy in (gradient_norm, zen, jacob_cov):
        assert proxy([straight], SMALL)[0] == pytest.approx(proxy([crossed], SMALL)[0], rel=1e-4)


def test_a_threshold_is_one():
    low, high = (from_cell_6edge(f"zero|zero|zero|lif{level}_conv3x3|zero|zero") for level in ("0.0", "1.0"))
    plain = cell("none", "none", "none", "nor_conv_3x3", "none", "none")
    for proxy in (nwot, gradient_norm, zen):
        same, other = proxy([plain, low, high], SMALL)[[0, 1]], proxy([high], SMALL)[0]
        assert same[0] == same[1]
        assert abs(other - same[0]) > 1e-3 * abs(same[0])


def test_nothing_flows_through_a_cut():
    conv = cell("none", "none", "none", "nor_conv_3x3", "none", "none")
    for proxy in (synflow, gradient_norm, snip, fisher):
        assert proxy([CUT_OFF]) == 0
        assert proxy([conv]) > 0
    for proxy in (nwot, zen, jacob_cov):
        cut, *others = proxy([CUT_OFF, conv, cell(*["skip_connect"] * 6)], SMALL)
        assert cut < min(others)


def test_what_no_network_is_known_for_is_refused():
    for proxy in PROXIES.values():
        with pytest.raises(DataError, match=r"no network is known for operations 'relu'; use parameters or macs"):
            proxy([CUT_OFF, chain_of(2)], None)
    with pytest.raises(DataError, match="there are 2 examples or more"):
        Network(examples=1)
