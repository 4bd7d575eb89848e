"""ArchGraph: validity, JSON, counts, and a hash that no numbering changes."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metalcx.errors import DataError
from metalcx.graphs import ArchGraph, graph_problem

RESIDUAL = ArchGraph(
    nodes=(
        {"op": "input", "out": 3},
        {"op": "linear", "in": 3, "out": 3, "params": 12, "macs": 9},
        {"op": "relu"},
        {"op": "add"},
        {"op": "output"},
    ),
    edges=((0, 1), (1, 2), (2, 3), (0, 3), (3, 4)),
)


@st.composite
def graphs(draw):
    """Random DAGs: every operation reads from earlier ones, and what nobody reads goes to the output."""
    n = draw(st.integers(1, 9))
    edges = {(s, i) for i in range(1, n + 1) for s in draw(st.sets(st.integers(0, i - 1), min_size=1, max_size=3))}
    edges |= {(i, n + 1) for i in range(1, n + 1) if all(source != i for source, _ in edges)}
    ops = draw(st.lists(st.sampled_from(["conv", "relu", "add"]), min_size=n, max_size=n))
    outs = draw(st.lists(st.integers(1, 3), min_size=n, max_size=n))
    nodes = [{"op": op, "out": out} for op, out in zip(ops, outs, strict=True)]
    return ArchGraph(({"op": "input"}, *nodes, {"op": "output"}), tuple(sorted(edges)))


def renumbered(graph, order):
    """The same graph with node order[i] as its node i, and the edges in another order."""
    place = {old: new for new, old in enumerate(order)}
    edges = [(place[source], place[target]) for source, target in graph.edges]
    return ArchGraph(tuple(graph.nodes[old] for old in order), tuple(edges[::-1]))


@given(graphs(), st.randoms())
def test_hash_does_not_depend_on_the_numbering(graph, rng):
    order = list(range(len(graph.nodes)))
    rng.shuffle(order)
    other = renumbered(graph, order)
    assert other.hash == graph.hash
    assert (other.depth, other.n_params, other.macs) == (graph.depth, graph.n_params, graph.macs)


@given(graphs(), st.data())
def test_hash_changes_with_an_attribute(graph, data):
    i = data.draw(st.integers(0, len(graph.nodes) - 1))
    nodes = [dict(node) for node in graph.nodes]
    nodes[i]["out"] = 99
    assert ArchGraph(tuple(nodes), graph.edges).hash != graph.hash


@given(graphs(), st.data())
def test_hash_changes_with_an_edge(graph, data):
    n = len(graph.nodes)
    absent = [(a, b) for a in range(n - 1) for b in range(max(a + 1, 1), n) if (a, b) not in graph.edges]
    if absent:
        more = ArchGraph(graph.nodes, (*graph.edges, data.draw(st.sampled_from(absent))))
        assert more.hash != graph.hash


@given(graphs())
@settings(max_examples=30)
def test_json_there_and_back(graph):
    again = ArchGraph.from_json(graph.to_json())
    assert again == graph
    assert (again.hash, hash(again)) == (graph.hash, hash(graph))
    assert graph_problem(json.loads(graph.to_json())) is None


def test_hash_tells_apart_what_differs_far_away():
    """Two chains that differ in which of the two equal halves the odd attribute is: at the start or at the end."""

    def chain(outs):
        nodes = ({"op": "input"}, *({"op": "conv", "out": out} for out in outs), {"op": "output"})
        return ArchGraph(nodes, tuple((i, i + 1) for i in range(len(nodes) - 1)))

    assert chain([1] * 40 + [2] + [1] * 39).hash != chain([1] * 39 + [2] + [1] * 40).hash
    assert chain([1] * 40).hash != chain([1] * 41).hash


def test_hash_tells_the_direction_of_edges():
    """A stem that forks early, and one that forks late: the same degrees without the direction."""
    ops = ({"op": "input"}, *[{"op": "a"}] * 4, {"op": "output"})
    early = ArchGraph(ops, ((0, 1), (1, 2), (1, 3), (2, 4), (3, 5), (4, 5)))
    late = ArchGraph(ops, ((0, 1), (0, 2), (1, 3), (2, 4), (3, 4), (4, 5)))
    assert early.hash != late.hash


def test_counts_and_depth():
    assert (RESIDUAL.n_params, RESIDUAL.macs, RESIDUAL.depth) == (12, 9, 3)
    bare = ArchGraph(({"op": "input"}, {"op": "output"}), ())
    assert (bare.n_params, bare.macs, bare.depth) == (0, 0, 0)


def test_it_does_not_share_what_it_was_given():
    node = {"op": "relu", "kernel": (3, 1)}
    graph = ArchGraph(({"op": "input"}, node, {"op": "output"}), ((0, 1), (1, 2)))
    node["op"] = "tanh"
    assert graph.nodes[1] == {"op": "relu", "kernel": [3, 1]}


@pytest.mark.parametrize(
    ("attribute", "message"),
    [
        ({"params": 1.5}, "node 1 .linear. has params 1.5; it is a count"),
        ({"macs": -1}, "has macs -1"),
        ({"params": True}, "has params True"),
        ({"slope": math.nan}, "JSON cannot hold"),
        ({"out": np.int64(3)}, "JSON cannot hold .*int64.* plain numbers"),
    ],
)
def test_attributes_that_are_refused(attribute, message):
    nodes = ({"op": "input"}, {"op": "linear", **attribute}, {"op": "output"})
    with pytest.raises(DataError, match=message):
        ArchGraph(nodes, ((0, 1), (1, 2)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"nodes": [{"op": "input", "x": NaN}], "edges": []}', "NaN is no JSON"),
        ("[]", 'the graph is not {"nodes"'),
        ('{"nodes": [{"op": "input"}], "edges": []}', "0 nodes with op output"),
    ],
)
def test_texts_that_are_refused(text, message):
    with pytest.raises(DataError, match=message):
        ArchGraph.from_json(text)


def test_edges_that_break_a_rule_are_refused():
    with pytest.raises(DataError, match=r"edge \[0, 5\] is no pair"):
        ArchGraph(RESIDUAL.nodes, ((0, 5),))


def test_edges_may_be_numbers_of_numpy():
    nodes = ({"op": "input"}, {"op": "relu"}, {"op": "output"})
    graph = ArchGraph(nodes, tuple(map(tuple, np.array([[0, 1], [1, 2]]))))
    assert graph == ArchGraph(nodes, np.array([[0, 1], [1, 2]])) == ArchGraph(nodes, ((0, 1), (1, 2)))
    assert {type(end) for edge in graph.edges for end in edge} == {int}
    assert ArchGraph.from_json(graph.to_json()) == graph


@pytest.mark.parametrize("edges", [(1,), ((0, True),), ("01",), ((0.0, 1.0),), ({0: 1, 1: 2},), (None,)])
def test_edges_that_are_no_pairs_of_numbers(edges):
    with pytest.raises(DataError, match="is no pair of node numbers from 0 to 1"):
        ArchGraph(({"op": "input"}, {"op": "output"}), edges)


@pytest.mark.parametrize(
    "text", ["[]", "1", '{"nodes": []}', '{"nodes": {"a": 1}, "edges": []}', '{"nodes": [], "edges": 3}']
)
def test_json_of_another_form(text):
    with pytest.raises(DataError, match="the graph is not"):
        ArchGraph.from_json(text)
