"""DARTS and NAS-Bench-301: a genotype of two cells, the normal one and the one that reduces."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

from metalcx.graphs._arch import ArchGraph
from metalcx.graphs._prune import Edge, Node, prune
from metalcx.graphs._words import operation, refuse

_WHAT = "the genotype"
_FIELDS = ("normal", "normal_concat", "reduce", "reduce_concat")
_LONGEST = 10_000


def from_genotype(genotype: str | Mapping[str, Any] | tuple[Any, ...], pruned: bool = True) -> ArchGraph:
    """The graph of a genotype, such as ``Genotype(normal=[('sep_conv_3x3', 1), ...], normal_concat=range(2, 6), ...)``.

    A cell's inputs 0 and 1 are what the last but one and the last cell gave; each further node is the sum of two
    operations on earlier ones, and the cell gives the concatenation of some. The pairs of a node follow one another.

    In a network, cells of both kinds are repeated and feed each other, so neither would be complete without the other:
    in the graph they stand side by side, both read the same two inputs (``back`` 2 and 1), and both their
    concatenations go to the output. Operations of the reducing cell on its inputs have stride 2, all others 1.

    Args:
        genotype: The text, or a mapping or named tuple with its four fields.
        pruned: Whether ``none`` goes; see `metalcx.graphs.prune`.

    Raises:
        DataError: If a field is missing or has another form, or a node reads from what is not before it.
    """
    fields = _fields(genotype)
    nodes: list[Node] = [{"op": "input", "back": 2}, {"op": "input", "back": 1}]
    edges: list[Edge] = []
    ends = [_cell(kind, fields, nodes, edges, genotype) for kind in ("normal", "reduce")]
    edges += [(end, len(nodes)) for end in ends]
    return prune([*nodes, {"op": "output"}], edges, pruned)


def _cell(kind: str, fields: Mapping[str, Any], nodes: list[Node], edges: list[Edge], genotype: object) -> int:
    """Adds the nodes and edges of one cell; returns the number of its concatenation."""
    gives: list[list[int]] = [[0], [1]]
    for k, (word, source) in enumerate(fields[kind]):
        if k % 2 == 0:
            gives.append([])
        if not 0 <= source < len(gives) - 1:
            raise refuse(_WHAT, genotype, f"{kind} node {len(gives) - 1} reads {source}, which is not before it")
        edges += [(before, len(nodes)) for before in gives[source]]
        gives[-1].append(len(nodes))
        stride = 2 if kind == "reduce" and source < 2 else 1
        nodes.append({"op": operation(word, _WHAT, genotype), "stride": stride})
    concat = fields[f"{kind}_concat"]
    if not concat or not set(concat) <= set(range(len(gives))):
        raise refuse(_WHAT, genotype, f"{kind}_concat is {concat!r:.40}; nodes are 0 to {len(gives) - 1}")
    edges += [(before, len(nodes)) for node in sorted(set(concat)) for before in gives[node]]
    nodes.append({"op": "concat"})
    return len(nodes) - 1


def _fields(genotype: Any) -> dict[str, Any]:
    if isinstance(genotype, str):
        found = _parsed(genotype)
    else:
        found = genotype._asdict() if hasattr(genotype, "_asdict") else genotype
    if not isinstance(found, Mapping) or not set(_FIELDS) <= found.keys():
        raise refuse(_WHAT, genotype, f"needs the fields {', '.join(_FIELDS)}")
    for kind in ("normal", "reduce"):
        if not _are_pairs(found[kind]) or not _are_numbers(found[f"{kind}_concat"]):
            problem = f"{kind} is pairs such as ('skip_connect', 0), two a node, and {kind}_concat numbers of nodes"
            raise refuse(_WHAT, genotype, problem)
    return {name: list(found[name]) for name in _FIELDS}


def _are_pairs(value: Any) -> bool:
    """Whether these are (word, source), two for each node."""
    is_list = isinstance(value, Sequence) and len(value) > 0 and len(value) % 2 == 0
    return is_list and all(isinstance(pair, (tuple, list)) and [type(x) for x in pair] == [str, int] for pair in value)


def _are_numbers(value: Any) -> bool:
    return isinstance(value, (list, tuple, range)) and all(type(number) is int for number in value)


def _parsed(text: str) -> dict[str, Any]:
    """Fields of ``Genotype(name=literal, ...)``; nothing is evaluated but literals and ``range``."""
    try:
        call = ast.parse(text[:_LONGEST].strip(), mode="eval").body
        if isinstance(call, ast.Call) and not call.args:
            return {str(keyword.arg): _literal(keyword.value) for keyword in call.keywords}
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        pass  # what these say is about Python
    raise refuse(_WHAT, text, "is no Genotype(normal=[...], ...) of plain values")


def _literal(node: ast.expr) -> Any:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range" and not node.keywords:
        ends = [ast.literal_eval(end) for end in node.args]
        return range(*ends) if all(type(end) is int and abs(end) < 1000 for end in ends) else None
    return ast.literal_eval(node)
