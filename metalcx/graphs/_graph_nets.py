"""NAS-Bench-Graph: graph neural networks of four operations (Qin et al., NeurIPS 2022)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import product

from metalcx.errors import DataError
from metalcx.graphs._arch import ArchGraph
from metalcx.graphs._prune import prune
from metalcx.graphs._rules import neighbours, topological_order
from metalcx.graphs._words import operation, plain_words, refuse

_WHAT = "the network of NAS-Bench-Graph"
_WORDS = ("gat", "gcn", "gin", "cheb", "sage", "arma", "graph", "fc", "skip")
_LINKS = ("0000", "0001", "0011", "0012", "0013", "0111", "0112", "0122", "0123")
Member = tuple[str, tuple[str, ...]]


def from_nasbench_graph(text: str) -> ArchGraph:
    """The graph of four operations and their sources, such as ``0012|gat|fc|skip|gin``.

    The k-th digit says what the k-th operation reads: 0 the input, i the i-th operation. What no operation reads
    goes to the output.

    Raises:
        DataError: If the digits and operations are not four each, or one reads from what is not before it.
    """
    link, *words = text.strip().split("|")
    if len(words) != 4 or len(link) != 4 or not (link.isascii() and link.isdigit()):
        raise refuse(_WHAT, text, "is four digits and four operations, with | between them")
    sources = [int(digit) for digit in link]
    late = [k for k, source in enumerate(sources, 1) if source >= k]
    if late:
        raise refuse(_WHAT, text, f"operation {late[0]} reads from {sources[late[0] - 1]}, which is not before it")
    nodes = [{"op": "input"}, *({"op": operation(word, _WHAT, text)} for word in words), {"op": "output"}]
    edges = [(source, k) for k, source in enumerate(sources, 1)]
    return prune(nodes, edges + [(k, 5) for k in range(1, 5) if k not in sources])


def to_nasbench_graph(graph: ArchGraph) -> str:
    """A text that `from_nasbench_graph` makes this graph of, operations in the order they have in it if they can be.

    Raises:
        DataError: If the graph is none of four operations of which each reads one.
    """
    before, after = neighbours(len(graph.nodes), graph.edges)
    words = plain_words(graph, _WHAT)
    order = [i for i in topological_order(before, after) if words[i] not in ("input", "output")]
    output = words.index("output")
    single = len(words) == 6 and all(len(before[i]) == 1 for i in order)
    # The output reads just what no operation reads.
    if not single or any(words[i] == "input" or after[i] != [output] for i in before[output]):
        raise DataError(f"the graph, of {len(order)} operations, is no tree of four, as {_WHAT} is")
    number = {i: k for k, i in enumerate(order, 1)}
    link = "".join(str(number.get(before[i][0], 0)) for i in order)
    return "|".join([link, *(words[i] for i in order)])


def all_nasbench_graph() -> Iterator[tuple[str, ArchGraph]]:
    """The 26,206 architectures of NAS-Bench-Graph as text and graph.

    There are 9 ways to link four operations out of 9, and many of them compute the same, for operations may change
    places and ``skip`` passes on what it reads. Of those that do, the published tables hold one: the last of the
    links, with a ``skip`` that is read as early as can be, and then the first operations in the order of `_WORDS`.
    What hands the input itself to the output is not among them.
    """
    chosen: dict[object, Member] = {}
    for link, words in product(reversed(_LINKS), product(_WORDS, repeat=4)):
        computed = _computed(link, words, 0)
        if () not in computed:
            other = chosen.setdefault(computed, (link, words))
            if other[0] == link and _rank((link, words)) < _rank(other):
                chosen[computed] = (link, words)
    for link, words in chosen.values():
        text = "|".join([link, *words])
        yield text, from_nasbench_graph(text)


def _computed(link: str, words: Sequence[str], node: int) -> tuple[tuple[object, ...], ...]:
    """What reads a node, as nested tuples in order, a ``skip`` replaced by what reads it; () is the output."""
    readers = _readers(link, node)
    found: list[tuple[object, ...]] = []
    for k in readers:
        behind = _computed(link, words, k)
        found += behind if words[k - 1] == "skip" else [(words[k - 1], behind)]
    return tuple(sorted(found)) if readers else ((),)


@lru_cache(maxsize=256)
def _readers(link: str, node: int) -> list[int]:
    return [k for k, source in enumerate(link, 1) if int(source) == node]


def _rank(member: Member) -> tuple[object, ...]:
    link, words = member
    passed = [word == "skip" and str(k) in link for k, word in enumerate(words, 1)]
    return ([not skip for skip in passed], [_WORDS.index(word) for word in words])
