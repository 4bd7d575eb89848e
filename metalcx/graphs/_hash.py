"""A name for a graph that does not depend on how its nodes are numbered."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from metalcx.graphs._rules import neighbours, topological_order


def canonical_hash(nodes: Sequence[Mapping[str, Any]], edges: Sequence[Sequence[int]]) -> str:
    """Weisfeiler-Lehman colours of a DAG, refined until they tell no more nodes apart, as one digest.

    One sweep along the edges and one against them give every node the colour of all that leads to it and of all
    that it leads to, which takes one round where the plain algorithm takes as many as the graph is deep.
    """
    before, after = neighbours(len(nodes), edges)
    order = topological_order(before, after)
    labels = [_digest(json.dumps(node, sort_keys=True, separators=(",", ":"))) for node in nodes]
    ahead, behind = _sweep(labels, before, order), _sweep(labels, after, order[::-1])
    colours = [_digest(*pair) for pair in zip(ahead, behind, strict=True)]
    known = 0
    while len(set(colours)) > known:
        known = len(set(colours))
        colours = [_around(colours, i, before[i], after[i]) for i in range(len(nodes))]
    return _digest(*sorted(colours))


def _sweep(labels: list[str], sources: list[list[int]], order: list[int]) -> list[str]:
    colours = list(labels)
    for i in order:
        colours[i] = _digest(labels[i], *sorted(colours[j] for j in sources[i]))
    return colours


def _around(colours: list[str], i: int, before: list[int], after: list[int]) -> str:
    return _digest(colours[i], *sorted(colours[j] for j in before), "|", *sorted(colours[j] for j in after))


def _digest(*words: str) -> str:
    return hashlib.blake2b(" ".join(words).encode(), digest_size=16).hexdigest()
