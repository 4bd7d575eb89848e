from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.func import functional_call, vmap

from metalcx.corpora.build._convolutional import MaxPool
from metalcx.corpora.build._initial import SCHEMES, initialised
from metalcx.corpora.build._networks import NETWORKS, build_network
from metalcx.corpora.build._space import NETWORKS_OF, draw_batch_size, draw_config, draw_network
from metalcx.errors import DataError
from metalcx.graphs import trace

SHAPES = {"vector": (6,), "image": (2, 8, 8), "sequence": (10, 3)}
DRAWS = [(kind, seed) for kind in SHAPES for seed in range(12)]


@pytest.mark.parametrize(("kind", "seed"), DRAWS)
def test_any_network_drawn_runs_stacked_as_it_runs_alone(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    network, settings = draw_network(kind, rng)
    module = build_network(network, settings, SHAPES[kind], 3).eval()
    configs = [draw_config(True, rng) for _ in range(3)]
    stacked = initialised(module, configs, torch.Generator().manual_seed(seed))
    buffers = {n: b.expand(3, *b.shape).clone() for n, b in module.named_buffers()}
    x = torch.randn(3, 5, *SHAPES[kind], generator=torch.Generator().manual_seed(1))
    together = vmap(lambda p, b, v: functional_call(module, (p, b), (v,)))(stacked, buffers, x)
    for i in range(3):
        alone = functional_call(module, {n: p[i] for n, p in stacked.items()}, (x[i],))
        torch.testing.assert_close(together[i], alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("kind", "seed"), DRAWS[::2])
def test_the_graph_of_any_network_drawn_counts_its_parameters(kind: str, seed: int) -> None:
    network, settings = draw_network(kind, np.random.default_rng(seed))
    module = build_network(network, settings, SHAPES[kind], 3)
    graph = trace(module, torch.zeros(1, *SHAPES[kind]))
    assert 0 < graph.n_params <= sum(p.numel() for p in module.parameters())
    ops = [node["op"] for node in graph.nodes]
    assert "other" not in ops


def test_every_kind_of_network_is_drawn_for_some_data() -> None:
    assert {name for odds in NETWORKS_OF.values() for name in odds} == set(NETWORKS)


def test_cells_differ_in_topology() -> None:
    rng, graphs = np.random.default_rng(0), set()
    for _ in range(40):
        network, settings = draw_network("image", rng)
        if network == "cell-cnn":
            traced = trace(build_network(network, settings, (1, 8, 8), 3), torch.zeros(1, 1, 8, 8))
            graphs.add((tuple(n["op"] for n in traced.nodes), traced.edges))
    assert len(graphs) >= 10


@pytest.mark.parametrize("size", [(8, 8), (7, 5)])
def test_max_pool_is_torchs(size: tuple[int, int]) -> None:
    x = torch.randn(2, 3, *size)
    assert torch.equal(MaxPool(2)(x), torch.nn.MaxPool2d(2)(x))
    assert torch.equal(MaxPool(3)(x), torch.nn.MaxPool2d(3, 1, 1)(x))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_initial_weights_have_the_spread_of_their_scheme(scheme: str) -> None:
    module = torch.nn.Sequential(torch.nn.Linear(300, 200), torch.nn.LayerNorm(200))
    configs = [{"init": scheme, "init_gain": 1.0}, {"init": scheme, "init_gain": 2.0}]
    drawn = initialised(module, configs, torch.Generator().manual_seed(0))
    wanted = {"he": (2 / 300) ** 0.5, "glorot": (2 / 500) ** 0.5, "lecun": (1 / 300) ** 0.5}[scheme]
    assert drawn["0.weight"][0].std().item() == pytest.approx(wanted, rel=0.02)
    assert drawn["0.weight"][1].std().item() == pytest.approx(2 * wanted, rel=0.02)
    assert not drawn["0.bias"].any()
    assert torch.equal(drawn["1.weight"], torch.ones(2, 200))


@pytest.mark.parametrize("n_train", [20, 100, 400, 1000])
@pytest.mark.parametrize("most", [3, 10, 40])
def test_batches_keep_within_the_steps_allowed(n_train: int, most: int) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        size = draw_batch_size(n_train, most, rng)
        assert 1 <= n_train // size <= most


def test_an_unknown_network_is_named() -> None:
    with pytest.raises(DataError, match="no network is called 'mlpp'; there are 'mlp'"):
        build_network("mlpp", {}, (3,), 2)
