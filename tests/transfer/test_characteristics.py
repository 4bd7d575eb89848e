"""Characteristics say what a person would read off the graph, whatever the numbering."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_pools import chain, specs

from metalcx.encoders import GraphBatch
from metalcx.graphs import ArchGraph, from_nasbench201
from metalcx.transfer._characteristics import distance, names_of, of_graphs, vocabulary


def described(graph: ArchGraph, operations: tuple[str, ...] | None = None) -> dict[str, float]:
    batch = GraphBatch.from_graphs([graph])
    operations = vocabulary(batch) if operations is None else operations
    return dict(zip(names_of(operations), of_graphs(batch, operations)[0], strict=True))


def test_a_cell_is_read_as_it_is_drawn():
    cell = from_nasbench201("|nor_conv_3x3~0|+|skip_connect~0|none~1|+|none~0|nor_conv_3x3~1|avg_pool_3x3~2|")
    said = described(cell)
    assert said["operations"] == 4
    assert said["depth"] == said["width"] == said["operations on the direct path"] == 2
    assert said["connections per operation"] == 6 / 4
    assert said["number of nor_conv_3x3"] == said["nor_conv_3x3 on the direct path"] == 2
    assert said["nor_conv_3x3 reading the input"] == said["nor_conv_3x3 feeding the output"] == 1
    assert said["avg_pool_3x3 feeding the output"] == 1
    assert said["avg_pool_3x3 reading the input"] == said["connections that skip operations"] == 0


def test_the_direct_path_is_the_shortest():
    said = described(chain("conv", "pool", "linear", skip=True))
    assert said["connections that skip operations"] == 1
    assert said["operations on the direct path"] == said["linear on the direct path"] == 1
    assert said["conv on the direct path"] == 0
    assert said["depth"] == 3
    assert said["operations that read the input"] == 2


def test_sizes_are_logarithms_of_what_is_known():
    nodes = ({"op": "input"}, {"op": "conv", "params": 99, "macs": 999}, {"op": "output"})
    said = described(ArchGraph(nodes, ((0, 1), (1, 2))))
    assert said["parameters (log)"] == pytest.approx(np.log(100))
    assert said["multiply-accumulates (log)"] == pytest.approx(np.log(1000))


def test_an_unknown_operation_is_counted_with_the_others():
    said = described(chain("conv", "warp"), ("conv",))
    assert said["number of conv"] == said["number of other operations"] == 1


def test_a_cell_without_any_operation_has_a_connection_and_nothing_else():
    assert {name for name, value in described(chain()).items() if value} == {"connections per operation"}


@given(st.sampled_from(specs(30)), st.randoms(use_true_random=False))
def test_numbering_does_not_matter(spec, random):
    graph = from_nasbench201(spec)
    order = list(range(len(graph.nodes)))
    random.shuffle(order)
    nodes = [None] * len(order)
    for old, new in enumerate(order):
        nodes[new] = graph.nodes[old]
    other = ArchGraph(tuple(nodes), tuple((order[a], order[b]) for a, b in graph.edges))
    assert described(graph) == described(other)


def test_distances_of_graphs_in_a_batch_are_their_own():
    batch = GraphBatch.from_graphs([chain("a", "b"), chain("a", "b", "c", skip=True)])
    np.testing.assert_array_equal(distance(batch), [0, 1, 2, 3, 0, 1, 2, 1, 2])
    np.testing.assert_array_equal(distance(batch, backward=True), [3, 2, 1, 0, 2, 3, 2, 1, 0])
