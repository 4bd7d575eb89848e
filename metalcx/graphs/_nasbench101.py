"""NAS-Bench-101: a matrix and an operation a vertex (Ying et al., ICML 2019)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metalcx._json import loads
from metalcx.errors import DataError
from metalcx.graphs._arch import ArchGraph
from metalcx.graphs._prune import prune
from metalcx.graphs._rules import neighbours, topological_order
from metalcx.graphs._words import operation, plain_words, refuse

_WHAT = "the NAS-Bench-101 cell"


def from_nasbench101(matrix: ArrayLike, ops: Sequence[str]) -> ArchGraph:
    """The graph of a cell, vertices that are on no path left out.

    Args:
        matrix: Of shape (vertices, vertices), 1 where the row's vertex is read by the column's; strictly upper
            triangular.
        ops: The words of the vertices, ``input`` the first and ``output`` the last.

    Raises:
        DataError: If the matrix has another form, or does not fit the words.
    """
    shown = f"of {list(ops)!r:.80}"
    try:
        found = np.asarray(matrix)
        ones = found == 1
        fits = found.shape == (len(ops), len(ops)) and bool((ones | (found == 0)).all())
    except ValueError:  # rows of unequal length
        fits = False
    if not fits or np.tril(ones).any():
        raise refuse(_WHAT, shown, f"the matrix is 0 and 1, {len(ops)} by {len(ops)}, and 0 up to the diagonal")
    if len(ops) < 2 or (ops[0], ops[-1]) != ("input", "output"):
        raise refuse(_WHAT, shown, "the operations start with input and end with output")
    words = ["input", *(operation(word, _WHAT, shown) for word in ops[1:-1]), "output"]
    return prune([{"op": word} for word in words], [(int(a), int(b)) for a, b in np.argwhere(ones)])


def from_nasbench101_json(text: str) -> ArchGraph:
    """The graph of ``{"matrix": [[0, 1], [0, 0]], "ops": ["input", "output"]}``; see `from_nasbench101`."""
    try:
        found = loads(text)
    except ValueError as error:
        raise refuse(_WHAT, text, f"is not JSON ({error})") from error
    ops = found.get("ops") if isinstance(found, Mapping) else None
    if not isinstance(ops, list) or "matrix" not in found:
        raise refuse(_WHAT, text, 'is {"matrix": [[...], ...], "ops": ["input", ..., "output"]}')
    return from_nasbench101(found["matrix"], ops)


def to_nasbench101(graph: ArchGraph) -> tuple[NDArray[np.int8], list[str]]:
    """A matrix and words that `from_nasbench101` makes this graph of, vertices in a topological order.

    Raises:
        DataError: If there are several inputs, or operations have attributes.
    """
    before, after = neighbours(len(graph.nodes), graph.edges)
    words = plain_words(graph, _WHAT)
    if words.count("input") > 1:
        raise DataError(f"the graph has {words.count('input')} inputs; {_WHAT} has one")
    order = [i for i in topological_order(before, after) if words[i] != "output"]
    number = {old: new for new, old in enumerate([*order, words.index("output")])}
    matrix = np.zeros((len(words), len(words)), np.int8)
    for source, target in graph.edges:
        matrix[number[source], number[target]] = 1
    return matrix, [words[old] for old in number]
