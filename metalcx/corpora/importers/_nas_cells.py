"""Which cells of NAS-Bench-201, such as ``|nor_conv_3x3~0|+|none~0|skip_connect~1|``, compute the same."""

from __future__ import annotations

from functools import lru_cache

from metalcx.graphs import from_nasbench201


@lru_cache(maxsize=1 << 14)  # a cell has several runs; there are 15,625 cells
def canonical_cell(text: str) -> str:
    """A text that cells share if they compute the same: sums in order, `skip_connect` passed through, `none` as #.

    Raises:
        DataError: If `text` is no such cell.
    """
    graph = from_nasbench201(text, pruned=False)
    into: list[list[int]] = [[] for _ in graph.nodes]
    for source, target in graph.edges:
        into[target].append(source)
    terms: list[str] = []
    for node, sources in zip(graph.nodes, into, strict=True):  # sources are before what reads them
        terms.append(_term(node["op"], "+".join(sorted(terms[source] for source in sources))))
    return terms[-1]


def _term(op: str, read: str) -> str:
    if op == "input":
        return "0"
    if op == "absent" or read == "#":
        return "#"
    return read if op in ("skip_connect", "output") else f"({read})@{op}"
