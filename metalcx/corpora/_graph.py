"""What the format asks of an architecture's graph, as JSON."""

from __future__ import annotations

from typing import Any

# Operations that do nothing are left out of the graph; the source string keeps them.
ABSENT = ("none", "zero")


def graph_problem(graph: Any) -> str | None:
    """What is wrong with a parsed graph, or None: a DAG with one output, inputs, and no node off every path."""
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
    after: list[list[int]] = [[] for _ in ops]
    before: list[list[int]] = [[] for _ in ops]
    for source, target in edges:
        after[source].append(target)
        before[target].append(source)
    if not _is_acyclic(after, before):
        return "has a cycle; a graph is acyclic"
    fed = _reach([i for i, op in enumerate(ops) if op == "input"], after)
    used = _reach([ops.index("output")], before)
    off = [i for i, op in enumerate(ops) if op not in ("input", "output") and (i not in fed or i not in used)]
    return f"node {off[0]} ({ops[off[0]]}) is on no path from an input to the output; leave it out" if off else None


def _is_acyclic(after: list[list[int]], before: list[list[int]]) -> bool:
    waiting = [len(sources) for sources in before]
    ready = [i for i, count in enumerate(waiting) if not count]
    done = 0
    while ready:
        done += 1
        for target in after[ready.pop()]:
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    return done == len(after)


def _reach(start: list[int], neighbours: list[list[int]]) -> set[int]:
    seen, todo = set(start), list(start)
    while todo:
        new = [i for i in neighbours[todo.pop()] if i not in seen]
        seen.update(new)
        todo += new
    return seen
