"""From all the operations of a cell to those that matter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from metalcx.errors import DataError
from metalcx.graphs._arch import ArchGraph
from metalcx.graphs._rules import ABSENT, neighbours, reach

Node = dict[str, Any]
Edge = tuple[int, int]


def prune(nodes: Sequence[Node], edges: Iterable[Edge], pruned: bool = True) -> ArchGraph:
    """The functional graph: without ``none`` and ``zero``, and without what is on no path to the output.

    Args:
        nodes: Dicts with ``op`` and further attributes, at least one of them an ``input``, one the ``output``.
        edges: Pairs (source, target) of node numbers.
        pruned: Whether ``none`` and ``zero`` go, as the corpora have it. Otherwise they stay, as operations
            ``absent``, the cell as papers on encoders draw it; what is on no path is left out all the same.

    Returns:
        The graph, nodes in the order they had. Inputs that nobody reads are left out, but for the first if all are.
    """
    nodes = list(nodes) if pruned else [_kept(node) for node in nodes]
    edges = [edge for edge in edges if not any(nodes[end]["op"] in ABSENT for end in edge)]
    before, after = neighbours(len(nodes), edges)
    inputs = [i for i, node in enumerate(nodes) if node["op"] == "input"]
    output = next(i for i, node in enumerate(nodes) if node["op"] == "output")
    live = reach(inputs, after) & reach([output], before)
    kept = sorted((live or {inputs[0]}) | {output})
    number = {old: new for new, old in enumerate(kept)}
    wired = [(number[source], number[target]) for source, target in edges if source in number and target in number]
    return ArchGraph(tuple(nodes[old] for old in kept), tuple(wired))


def _kept(node: Node) -> Node:
    return {**node, "op": "absent"} if node["op"] in ABSENT else node


def chain(operations: Sequence[Node]) -> ArchGraph:
    """Operations one after the other, between an input and an output."""
    nodes = ({"op": "input"}, *operations, {"op": "output"})
    return prune(nodes, [(i, i + 1) for i in range(len(nodes) - 1)])


def chained(graph: ArchGraph, what: str) -> list[Node]:
    """The operations of a graph that is a chain, in their order.

    Raises:
        DataError: If it is none; the message says what `what` is.
    """
    before, after = neighbours(len(graph.nodes), graph.edges)
    found = [i for i, node in enumerate(graph.nodes) if node["op"] == "input"]
    while after[found[-1]] and len(found) < len(graph.nodes):
        found.append(after[found[-1]][0])
    if len(found) < len(graph.nodes) or len(graph.edges) != len(found) - 1 or any(len(into) > 1 for into in before):
        raise DataError(f"the graph branches; {what} is a chain of operations")
    return [graph.nodes[i] for i in found[1:-1]]
