"""From recorded operations to the graph of those that matter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from metalcx.graphs._arch import ArchGraph
from metalcx.graphs._rules import neighbours, reach


@dataclass
class Node:
    """An operation as it was recorded.

    Attributes:
        attributes: ``op`` and the rest, without what parameters it has.
        sources: Numbers of the nodes that it reads.
        params: Numbers of the parameters that it takes up.
    """

    attributes: dict[str, Any]
    sources: tuple[int, ...]
    params: tuple[int, ...]


def assemble(nodes: Sequence[Node], sizes: Sequence[int]) -> ArchGraph:
    """The graph of what the last node, the output, depends on.

    Args:
        nodes: In order of execution.
        sizes: Numbers in each parameter, which are counted where it is first taken up.
    """
    before, _ = neighbours(len(nodes), [(source, i) for i, node in enumerate(nodes) for source in node.sources])
    kept = sorted(reach([len(nodes) - 1], before))
    number = {old: new for new, old in enumerate(kept)}
    counted: set[int] = set()
    attributes = []
    for old in kept:
        attributes.append(_with_parameters(nodes[old], sizes, counted))
        counted.update(nodes[old].params)
    edges = tuple((number[source], number[old]) for old in kept for source in nodes[old].sources)
    return ArchGraph(tuple(attributes), edges)


def _with_parameters(node: Node, sizes: Sequence[int], counted: set[int]) -> dict[str, Any]:
    own = [i for i in node.params if i not in counted]
    params = sum(sizes[i] for i in own)
    shared = {"shared": True} if len(own) < len(node.params) else {}
    return {**node.attributes, **({"params": params} if params else {}), **shared}
