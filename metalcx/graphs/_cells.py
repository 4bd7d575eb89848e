"""Cells with operations on edges: NAS-Bench-201, and SpikeNAS-Bench, which has the same six."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import permutations, product

from metalcx.errors import DataError
from metalcx.graphs._arch import ArchGraph
from metalcx.graphs._prune import Edge, prune
from metalcx.graphs._words import operation, plain_words, refuse

_SLOTS = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
_WORDS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
_EDGE = re.compile(r"([^~|+\s]+)~(\d{1,3})")
_201 = "the NAS-Bench-201 cell"


def from_nasbench201(text: str, pruned: bool = True) -> ArchGraph:
    """The graph of a cell such as ``|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|avg_pool_3x3~2|``.

    Parts between ``+`` are the nodes after the input; each ``operation~source`` is an edge into the node. An edge
    becomes a node of the graph, which reads from all that leads to its source.

    Args:
        text: The cell; of any number of nodes, with any operations.
        pruned: Whether ``none`` goes, with what only leads there; see `metalcx.graphs.prune`. If not, a cell of four
            nodes has eight in the graph, whatever its operations.

    Raises:
        DataError: If the text is no such cell; the message says which part is not.
    """
    found: list[tuple[str, Edge]] = []
    parts = text.strip().split("+")
    for target, part in enumerate(parts, 1):
        if len(part) < 2 or part[0] != "|" or part[-1] != "|":
            raise refuse(_201, text, f"node {target} is {part!r:.40}; it starts and ends with |")
        found += [_read_edge(edge, target, text) for edge in part[1:-1].split("|")]
    return _edges_as_nodes(found, len(parts), pruned)


def _read_edge(edge: str, target: int, text: str) -> tuple[str, Edge]:
    match = _EDGE.fullmatch(edge)
    if match is None:
        raise refuse(_201, text, f"{edge!r:.40} at node {target} is no operation~source")
    if int(match[2]) >= target:
        raise refuse(_201, text, f"node {target} reads from node {int(match[2])}, which is not before it")
    return operation(match[1], _201, text), (int(match[2]), target)


def from_cell_6edge(text: str, pruned: bool = True) -> ArchGraph:
    """The graph of six operations such as ``skip|zero|lif1.0_conv3x3|skip|zero|skip`` (SpikeNAS-Bench).

    Args:
        text: The operations on the edges 0-1, 0-2, 1-2, 0-3, 1-3, 2-3.
        pruned: As in `from_nasbench201`, for ``zero``.

    Raises:
        DataError: If these are not six operations.
    """
    words = text.strip().split("|")
    if len(words) != len(_SLOTS):
        raise refuse("the cell", text, f"has {len(words)} operations; it needs 6, with | between them")
    found = [operation(word.strip(), "the cell", text) for word in words]
    return _edges_as_nodes(list(zip(found, _SLOTS, strict=True)), 3, pruned)


def _edges_as_nodes(found: Sequence[tuple[str, Edge]], last: int, pruned: bool) -> ArchGraph:
    nodes = [{"op": "input"}, *({"op": word} for word, _ in found), {"op": "output"}]
    return prune(nodes, _wiring([ends for _, ends in found], last), pruned)


def _wiring(ends: Sequence[Edge], last: int) -> list[Edge]:
    """Which node reads which, where nodes are the input, one a pair of `ends`, and the output."""
    around = [(-1, 0), *ends, (last, last + 1)]
    return [(i, j) for j, (source, _) in enumerate(around) for i, (_, target) in enumerate(around) if target == source]


def to_nasbench201(graph: ArchGraph) -> str:
    """The first text in alphabetical order that `from_nasbench201` makes this graph of; edges not used are ``none``.

    Raises:
        DataError: If no cell of four nodes has this graph.
    """
    found = plain_words(graph, _201)
    numbers = [i for i, word in enumerate(found) if word == "input"]
    numbers += [i for i, word in enumerate(found) if word not in ("input", "output")]
    place = {old: new for new, old in enumerate(numbers)}
    edges = frozenset((place[source], place.get(target, len(numbers))) for source, target in graph.edges)
    words = [found[i] for i in numbers[1:]]
    fitting = _arrangements().get((len(words), edges), [])
    if not fitting:
        raise DataError(f"the graph, of {len(words)} operations, is no cell of NAS-Bench-201")
    return min(_text(dict(zip(slots, words, strict=True))) for slots in fitting)


@lru_cache(maxsize=1)
def _arrangements() -> dict[tuple[int, frozenset[Edge]], list[tuple[Edge, ...]]]:
    """Where operations may stand, by how many they are and by their wiring: 1,957 ways in all."""
    found = defaultdict(list)
    for n in range(len(_SLOTS) + 1):
        for slots in permutations(_SLOTS, n):
            found[n, frozenset(_wiring(slots, 3))].append(slots)
    return found


def _text(words: dict[Edge, str]) -> str:
    parts = [[f"{words.get((s, t), 'none')}~{s}" for s in range(t)] for t in (1, 2, 3)]
    return "+".join(f"|{'|'.join(part)}|" for part in parts)


def all_nasbench201(pruned: bool = True) -> Iterator[tuple[str, ArchGraph]]:
    """All 15,625 cells of NAS-Bench-201 (Dong and Yang, ICLR 2020) as text and graph."""
    for words in product(_WORDS, repeat=len(_SLOTS)):
        text = _text(dict(zip(_SLOTS, words, strict=True)))
        yield text, from_nasbench201(text, pruned)
