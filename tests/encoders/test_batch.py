"""GraphBatch: flat arrays that hold every graph as it is, taken in any order, and their generations."""

from __future__ import annotations

from types import SimpleNamespace

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metalcx.encoders import GraphBatch
from metalcx.errors import DataError
from metalcx.graphs import FEATURES, describe

from .made_graphs import BARE, CUT_OFF, chain_of, graphs


def parts(batch: GraphBatch, i: int) -> tuple[list[dict], list[list[int]]]:
    """Nodes and edges of the batch's graph i."""
    nodes = batch.nodes[batch.offsets[i] : batch.offsets[i + 1]]
    edges = batch.edges[:, batch.edge_offsets[i] : batch.edge_offsets[i + 1]] - batch.offsets[i]
    return nodes.tolist(), edges.T.tolist()


@given(st.lists(graphs(8), min_size=1, max_size=5), st.data())
def test_each_graph_is_there_and_can_be_taken(several, data):
    batch = GraphBatch.from_graphs([*several, CUT_OFF])
    index = data.draw(st.lists(st.integers(0, len(several)), max_size=8))
    taken = batch.take(index)
    assert (len(batch), len(taken)) == (len(several) + 1, len(index))
    for i, graph in enumerate([*several, CUT_OFF]):
        assert parts(batch, i) == (list(graph.nodes), [list(edge) for edge in graph.edges])
    for place, i in enumerate(index):
        assert parts(taken, place) == parts(batch, i)


@given(st.lists(graphs(8), min_size=1, max_size=5))
def test_what_is_known_of_nodes_is_carried_along(several):
    batch = GraphBatch.from_graphs(several)
    known = batch.features, batch.generation, batch.words
    order = np.arange(len(several))[::-1]
    taken, fresh = batch.take(order), GraphBatch.from_graphs(several[::-1])
    assert known[0].shape == (len(batch.nodes), len(FEATURES))
    np.testing.assert_array_equal(taken.features, fresh.features)
    np.testing.assert_array_equal(taken.generation, fresh.generation)
    np.testing.assert_array_equal(taken.words, fresh.words)
    np.testing.assert_array_equal(fresh.features, describe(fresh.nodes.tolist()))


@given(st.lists(graphs(), min_size=1, max_size=4))
def test_generations_are_those_of_networkx(several):
    batch = GraphBatch.from_graphs(several)
    graph = nx.DiGraph()
    graph.add_nodes_from(range(len(batch.nodes)))
    graph.add_edges_from(batch.edges.T.tolist())
    for level, nodes in enumerate(nx.topological_generations(graph)):
        assert set(batch.generation[nodes]) == {level}


@given(st.lists(graphs(), min_size=1, max_size=4), st.booleans())
def test_levels_hold_every_edge_once_after_what_it_reads(several, backward):
    batch = GraphBatch.from_graphs(several)
    seen, found = set(np.flatnonzero(np.bincount(batch.edges[int(not backward)], minlength=len(batch.nodes)) == 0)), []
    for level in batch.levels(backward):
        assert seen.issuperset(level.sources)
        ends = np.repeat(level.nodes, np.diff([*level.start, len(level.sources)]))
        found += list(zip(level.sources.tolist(), ends.tolist(), strict=True))
        seen |= set(level.nodes)
    assert sorted(found) == sorted(map(tuple, batch.edges[:: -1 if backward else 1].T.tolist()))
    assert len(seen) == len(batch.nodes)


def test_graphs_without_edges_have_no_levels():
    batch = GraphBatch.from_graphs([CUT_OFF, CUT_OFF])
    assert batch.levels() == batch.levels(backward=True) == []
    assert GraphBatch.from_graphs([]).levels() == []
    assert len(GraphBatch.from_graphs([chain_of(770), BARE]).levels()) == 771


def test_a_cycle_is_refused():
    nodes = [{"op": "input"}, {"op": "a"}, {"op": "b"}]
    cyclic = SimpleNamespace(nodes=nodes, edges=[(0, 1), (1, 2), (2, 1)])
    with pytest.raises(DataError, match="graph 1 of the batch has a cycle"):
        _ = GraphBatch.from_graphs([BARE, cyclic]).generation
