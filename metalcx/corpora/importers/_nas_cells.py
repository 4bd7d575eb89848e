"""Cells of NAS-Bench-201, such as ``|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|``, as graphs."""

from __future__ import annotations

import re
from typing import Any

_EDGE = re.compile(r"[a-z0-9_]+~\d+")
Cell = list[list[tuple[str, int]]]


def parse_cell(text: str) -> Cell | None:
    """For each node after the input, its (operation, source node) pairs; None if `text` is no such cell."""
    nodes = []
    for k, part in enumerate(text.split("+")):
        edges = part.strip("|").split("|")
        if not all(_EDGE.fullmatch(edge) for edge in edges):
            return None
        pairs = [(op, int(source)) for op, source in (edge.split("~") for edge in edges)]
        if any(source > k for _, source in pairs):
            return None
        nodes.append(pairs)
    return nodes


def cell_graph(cell: Cell) -> dict[str, Any]:
    """The functional graph: operations as nodes, without `none` and without what is on no path to the output."""
    ops = [(op, source, k + 1) for k, pairs in enumerate(cell) for op, source in pairs if op != "none"]
    fed, used = {0}, {len(cell)}
    for _, source, target in ops:
        fed |= {target} if source in fed else set()
    for _, source, target in reversed(ops):
        used |= {source} if target in used else set()
    ops = [(op, source, target) for op, source, target in ops if source in fed and target in used]
    into: dict[int, list[int]] = {0: [0]}
    edges = []
    for number, (_, source, target) in enumerate(ops, 1):
        edges += [[before, number] for before in into[source]]
        edges += [[number, len(ops) + 1]] * (target == len(cell))
        into.setdefault(target, []).append(number)
    return {"nodes": [{"op": "input"}, *({"op": op} for op, _, _ in ops), {"op": "output"}], "edges": edges}


def canonical_cell(cell: Cell) -> str:
    """A text that cells share if they compute the same: sums in order, `skip_connect` passed through, `none` as #."""
    nodes = ["0"]
    for pairs in cell:
        terms = [_term(op, nodes[source]) for op, source in pairs]
        nodes.append("+".join(sorted(terms)))
    return nodes[-1]


def _term(op: str, source: str) -> str:
    if op == "none" or source == "#":
        return "#"
    return source if op == "skip_connect" else f"({source})@{op}"
