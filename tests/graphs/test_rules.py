"""The rules of the format for graphs: what breaks them is named, what keeps them passes."""

import pytest

from metalcx.graphs import graph_problem


def graph(ops, edges):
    return {"nodes": [{"op": op} for op in ops], "edges": edges}


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ([], "is not"),
        ({"nodes": [], "edges": {}}, "is not"),
        (graph(["input", "output", "output"], []), "2 nodes with op output"),
        (graph(["conv", "output"], [[0, 1]]), "0 with op input"),
        (graph(["input", "zero", "output"], [[0, 1], [1, 2]]), "leave none and zero out"),
        (graph(["input", None, "output"], [[0, 1], [1, 2]]), "name an operation"),
        ({"nodes": ["input"], "edges": []}, "node 0 has the op None"),
        (graph(["input", "a", "b", "output"], [[0, 1], [1, 2], [2, 1], [2, 3]]), "cycle"),
        (graph(["input", "a", "output"], [[0, 1], [1, 1], [1, 2]]), "cycle"),
        (graph(["input", "a", "output"], [[0, 2], [0, 1]]), "node 1 (a) is on no path"),
        (graph(["input", "a", "output"], [[0, 2], [1, 2]]), "node 1 (a) is on no path"),
        (graph(["input", "output"], [[0, 2]]), "no pair of node numbers"),
        (graph(["input", "output"], [[0, -1]]), "no pair of node numbers"),
        (graph(["input", "output"], [[0, True]]), "no pair of node numbers"),
        (graph(["input", "output"], [[0, 1, 1]]), "no pair of node numbers"),
    ],
)
def test_graphs_that_are_none(found, message):
    assert message in graph_problem(found)


@pytest.mark.parametrize(
    "found",
    [
        graph(["input", "conv", "output"], [[0, 1], [1, 2]]),
        graph(["input", "output"], []),
        graph(["output", "add", "input", "input"], [[2, 1], [3, 1], [1, 0]]),
    ],
)
def test_graphs_that_are_some(found):
    assert graph_problem(found) is None


def test_a_deep_graph_is_no_trouble():
    n = 20_000
    chain = graph(["input", *["relu"] * n, "output"], [[i, i + 1] for i in range(n + 1)])
    assert graph_problem(chain) is None
