"""Which proxy there is for graphs of a space: of networks if they can be made, else of what can be counted."""

from __future__ import annotations

import numpy as np
import pytest

from metalcx.encoders import Network, kernels, known_proxies, known_proxy, macs, nwot, parameters, synflow, zen
from metalcx.encoders.proxies._blocks import Block, Layer, block_of
from metalcx.errors import DataError
from metalcx.graphs import ArchGraph, from_cell_6edge, from_nasbench_graph, from_nasbench_macro

from ..made_graphs import BARE, CUT_OFF, chain_of, random_cells

CELLS = random_cells(6)


def counted(**counts: int) -> ArchGraph:
    return ArchGraph(({"op": "input"}, {"op": "fc", **counts}, {"op": "output"}), ((0, 1), (1, 2)))


def test_counts_are_summed_over_nodes():
    graphs = [CUT_OFF, counted(params=3, macs=5), counted(params=4)]
    assert parameters(graphs).tolist() == [0, 3, 4]
    assert macs(graphs).tolist() == [0, 5, 0]


def test_kernels_are_read_off_words_and_attributes():
    nodes = [
        *({"op": word} for word in ("conv5x5", "maxpool3x3", "relu", "linear", "gcn")),
        {"op": "conv", "kernel": [3, 1]},
        {"op": "conv7x1"},
    ]
    graph = ArchGraph(({"op": "input"}, *nodes, {"op": "output"}), tuple((i, i + 1) for i in range(len(nodes) + 1)))
    assert kernels([graph, BARE]).tolist() == [25 + 1 + 1 + 3 + 7, 0]


def test_proxies_of_networks_where_networks_are_known():
    names, values = known_proxies(CELLS)
    assert names == ("synflow", "nwot", "zen")
    np.testing.assert_array_equal(values, np.column_stack([synflow(CELLS), nwot(CELLS), zen(CELLS)]))
    assert known_proxy(CELLS)[0] == "synflow"
    np.testing.assert_array_equal(known_proxy(CELLS)[1], values[:, 0])
    spiking = [from_cell_6edge(f"skip|skip|zero|{word}|zero|zero") for word in ("zero", "lif0.5_conv3x3")]
    assert known_proxies(spiking, ["fisher"])[0] == ("fisher",)
    with pytest.raises(DataError, match="no proxy of networks is called 'magic'; there are 'synflow', "):
        known_proxies(CELLS, ["nwot", "magic"])


def test_a_graph_that_is_a_network_is_not_stacked():
    graphs = [from_nasbench_macro(text) for text in ("00000000", "00000001", "22222222")]
    name, values = known_proxy(graphs)
    assert name == "synflow"
    np.testing.assert_array_equal(values, synflow(graphs, Network(cells=1)))
    assert (np.diff(values) > 0).all()


def test_counts_where_no_network_is_known():
    names, values = known_proxies([counted(params=3, macs=5), counted(params=4, macs=5)])
    assert names == ("parameters",)
    np.testing.assert_array_equal(values, [[3], [4]])
    assert known_proxy([counted(macs=3), counted(macs=9)])[0] == "macs"
    message = [from_nasbench_graph(text) for text in ("0113|gcn|gat|skip|fc", "0113|gcn|gat|skip|skip")]
    name, values = known_proxy(message)
    assert name == "kernels"
    assert values[0] > values[1] > 0


def test_nothing_is_known_of_graphs_that_no_count_tells_apart():
    names, values = known_proxies([chain_of(2), chain_of(3)])
    assert (names, values.shape) == ((), (2, 0))
    name, values = known_proxy([chain_of(2), chain_of(3)])
    assert name is None
    assert np.isnan(values).all()
    assert known_proxies([])[1].shape[0] == known_proxy([])[1].shape[0] == 0


def test_what_words_stand_for():
    assert block_of("identity") == block_of("skip") == Block()
    assert block_of("avg_pool_3x3") == Block(pool=3)
    assert block_of("nor_conv_1x1") == Block((Layer(1),))
    assert block_of("lif1.5_conv3x3") == Block((Layer(3, threshold=1.5),))
    wide = block_of("mbconv5x5_e6")
    assert wide.residual
    assert [layer.fan_in(4) for layer in wide.layers] == [4, 25, 24]
    assert [layer.writes for layer in wide.layers] == [6, 6, 1]
    for word in ("conv", "nor_conv_2x2", "nor_conv_3x5", "max_pool_3x3", "none", "mbconv3x3", "lif_conv3x3", "\n"):
        assert block_of(word) is None
