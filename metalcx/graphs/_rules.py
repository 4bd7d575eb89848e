"""What the format asks of an architecture's graph, as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

# Operations that do nothing are left out of the graph; the source string keeps them.
ABSENT = ("none", "zero")


def graph_problem(graph: Any) -> str | None:
    """What is wrong with a parsed graph, or None: a DAG with one output, inputs, and no node off every path.

    Args:
        graph: Anything; what is asked for is ``{"nodes": [{"op": ..., ...}, ...], "edges": [[source, target], ...]}``.

    Returns:
        The rest of a sentence that starts with "the graph", or None.
    """
    if (
        not isinstance(graph, dict)
        or not isinstance(graph.get("nodes"), list)
        or not isinstance(graph.get("edges"), list)
    ):
        return 'is not {"nodes": [...], "edges": [...]}'
    ops: list[Any] = [node.get("op") if isinstance(node, dict) else None for node in graph["nodes"]]
    unnamed = [i for i, op in enumerate(ops) if not isinstance(op, str) or op in ABSENT]
    if unnamed:
        return f"node {unnamed[0]} has the op {ops[unnamed[0]]!r:.40}; name an operation, and leave none and zero out"
    if ops.count("output") != 1 or "input" not in ops:
        outputs, inputs = ops.count("output"), ops.count("input")
        return f"has {outputs} nodes with op output and {inputs} with op input; it needs exactly one, and at least one"
    for edge in graph["edges"]:
        if not _is_edge(edge, len(ops)):
            return f"edge {edge!r:.40} is no pair of node numbers from 0 to {len(ops) - 1}"
    return _order_problem(ops, graph["edges"])


def _is_edge(edge: Any, n: int) -> bool:
    return isinstance(edge, list) and len(edge) == 2 and all(type(end) is int and 0 <= end < n for end in edge)


def _order_problem(ops: list[str], edges: list[list[int]]) -> str | None:
    before, after = neighbours(len(ops), edges)
    if len(topological_order(before, after)) < len(ops):
        return "has a cycle; a graph is acyclic"
    fed = reach([i for i, op in enumerate(ops) if op == "input"], after)
    used = reach([ops.index("output")], before)
    off = [i for i, op in enumerate(ops) if op not in ("input", "output") and (i not in fed or i not in used)]
    return f"node {off[0]} ({ops[off[0]]}) is on no path from an input to the output; leave it out" if off else None


def neighbours(n: int, edges: Sequence[Sequence[int]]) -> tuple[list[list[int]], list[list[int]]]:
    """Sources and targets of every node, in the order of the edges."""
    before: list[list[int]] = [[] for _ in range(n)]
    after: list[list[int]] = [[] for _ in range(n)]
    for source, target in edges:
        after[source].append(target)
        before[target].append(source)
    return before, after


def topological_order(before: list[list[int]], after: list[list[int]]) -> list[int]:
    """Nodes, each after its sources; nodes on a cycle and behind one are missing."""
    waiting = [len(sources) for sources in before]
    order = [i for i, count in enumerate(waiting) if not count]
    for node in order:  # grows while it is walked
        for target in after[node]:
            waiting[target] -= 1
            if not waiting[target]:
                order.append(target)
    return order


def reach(start: list[int], steps: list[list[int]]) -> set[int]:
    """Nodes that can be come to from `start`, itself included."""
    seen, todo = set(start), list(start)
    while todo:
        new = [i for i in steps[todo.pop()] if i not in seen]
        seen.update(new)
        todo += new
    return seen
