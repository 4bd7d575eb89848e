"""ArchGraph: a network as a directed acyclic graph of operations."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral
from typing import Any

from metalcx._json import loads
from metalcx.errors import DataError
from metalcx.graphs._hash import canonical_hash
from metalcx.graphs._rules import graph_problem, neighbours, topological_order

_COUNTS = ("params", "macs")


@dataclass(frozen=True)
class ArchGraph:
    """The functional graph of an architecture: what is computed from what.

    It is held to the rules of the corpus format: acyclic, exactly one ``output``, one or more ``input``, no
    ``none`` and ``zero``, and every operation on a path from an input to the output. Two graphs are equal when
    their nodes and edges are, number by number; `hash` is the same for all numberings.

    Attributes:
        nodes: One dict a node: the word ``op`` and attributes that JSON can hold, of which ``params`` (trainable
            numbers) and ``macs`` (multiply-accumulates an example) are counts. Not to be written to.
        edges: Pairs (source, target) of node numbers.

    Raises:
        DataError: If the graph breaks a rule; the message names the node or the edge.
    """

    nodes: tuple[dict[str, Any], ...]
    edges: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        edges = _listed(self.edges)
        pairs = [_pair(edge) for edge in edges] if isinstance(edges, list) else edges
        graph = {"nodes": _as_json(_listed(self.nodes)), "edges": pairs}
        problem = graph_problem(graph) or _count_problem(graph["nodes"])
        if problem is not None:
            raise DataError(f"the graph {problem}")
        object.__setattr__(self, "nodes", tuple(graph["nodes"]))
        object.__setattr__(self, "edges", tuple((source, target) for source, target in graph["edges"]))

    @classmethod
    def from_json(cls, text: str) -> ArchGraph:
        """The graph of a text such as a corpus holds in its column ``graph``.

        Raises:
            DataError: If it is no JSON, or the graph breaks a rule.
        """
        try:
            graph = loads(text)
        except ValueError as error:
            raise DataError(f"the graph is not JSON ({error}): {text!r:.60}") from error
        known = graph if isinstance(graph, dict) else {}
        return cls(known.get("nodes"), known.get("edges"))  # type: ignore[arg-type]  # what they are is checked there

    def to_json(self) -> str:
        """The text that `from_json` reads: nodes and edges in the order they have here."""
        return json.dumps({"nodes": self.nodes, "edges": self.edges}, separators=(",", ":"))

    @property
    def n_params(self) -> int:
        """Trainable numbers, those that several operations share counted once."""
        return sum(node.get("params", 0) for node in self.nodes)

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one example."""
        return sum(node.get("macs", 0) for node in self.nodes)

    @cached_property
    def depth(self) -> int:
        """Operations on the longest path from an input to the output, these two not counted."""
        before, after = neighbours(len(self.nodes), self.edges)
        deep = [0] * len(self.nodes)
        for i in topological_order(before, after):
            own = self.nodes[i]["op"] not in ("input", "output")
            deep[i] = own + max((deep[j] for j in before[i]), default=0)
        return next(deep[i] for i, node in enumerate(self.nodes) if node["op"] == "output")

    @cached_property
    def hash(self) -> str:
        """32 hexadecimal digits, equal for graphs that differ only in how nodes are numbered and edges ordered.

        Every attribute counts. It is the Weisfeiler-Lehman hash over incoming and outgoing edges, so it cannot tell
        apart: graphs that colour refinement cannot (operations with equal attributes wired among each other in
        ways that look alike from every one of them, such as one ring of six and two rings of three), and the order
        of operands, which no edge keeps (``a - b`` and ``b - a``).
        """
        return canonical_hash(self.nodes, self.edges)

    def __hash__(self) -> int:
        return hash(self.hash)


def _listed(items: Any) -> Any:
    """A list of what can be one; anything else as it is, for the rules to refuse."""
    return list(items) if isinstance(items, Iterable) and not isinstance(items, (str, Mapping)) else items


def _pair(edge: Any) -> Any:
    """An edge with plain integers, since those of numpy are numbers of nodes too."""
    ends = _listed(edge)
    if not isinstance(ends, list):
        return ends
    return [int(end) if isinstance(end, Integral) and not isinstance(end, bool) else end for end in ends]


def _as_json(nodes: Any) -> Any:
    """Copies of the nodes as JSON would give them back, so that a round trip changes nothing."""
    try:
        return json.loads(json.dumps(nodes, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise DataError(f"the graph has an attribute that JSON cannot hold ({error}); use plain numbers") from error


def _count_problem(nodes: list[Mapping[str, Any]]) -> str | None:
    for i, node in enumerate(nodes):
        for key in _COUNTS:
            if key in node and (type(node[key]) is not int or node[key] < 0):
                return f"node {i} ({node['op']}) has {key} {node[key]!r:.40}; it is a count, an integer from 0"
    return None
