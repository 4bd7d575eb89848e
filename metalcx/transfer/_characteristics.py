"""What an architecture or a configuration is like, in named numbers that a person reads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from metalcx.curves._batch import FloatArray, IntArray
from metalcx.encoders import GraphBatch

#: What is said of a graph as a whole.
SHAPE = (
    "operations",
    "depth",
    "width",
    "connections per operation",
    "connections that skip operations",
    "operations on the direct path",
    "operations that read the input",
    "operations that feed the output",
    "parameters (log)",
    "multiply-accumulates (log)",
)

#: Where an operation may stand; the direct path is the shortest from input to output.
PLACES = ("number of {}", "{} on the direct path", "{} reading the input", "{} feeding the output")

#: Operations that a vocabulary lacks.
OTHER = "other operations"

_ENDS = ("input", "output")


def vocabulary(batch: GraphBatch) -> tuple[str, ...]:
    """The operations of some graphs, input and output left out, sorted."""
    return tuple(sorted(set(batch.words.tolist()) - set(_ENDS)))


def names_of(operations: Sequence[str]) -> tuple[str, ...]:
    """The characteristics of architectures, in the order of `of_graphs`."""
    return (*SHAPE, *(place.format(word) for place in PLACES for word in (*operations, OTHER)))


def of_graphs(batch: GraphBatch, operations: Sequence[str]) -> FloatArray:
    """Characteristics of graphs.

    Args:
        batch: The graphs, n of them.
        operations: Those that have columns of their own.

    Returns:
        Shape (n, characteristics); what each column means says `names_of`.
    """
    n, (source, target) = len(batch), batch.edges
    inner = ~np.isin(batch.words, _ENDS)
    first, last = (np.zeros(len(batch.nodes), dtype=bool) for _ in range(2))
    first[target[batch.words[source] == "input"]] = True
    last[source[batch.words[target] == "output"]] = True
    there, back = distance(batch), distance(batch, backward=True)
    shortest = _most(batch, np.where(batch.words == "output", there, 0))
    direct = inner & (there + back == shortest[batch.graph])
    jumps = batch.generation[target] - batch.generation[source] > 1
    shape = (
        _count(batch, inner),
        _most(batch, batch.generation) - 1,
        _width(batch, inner),
        np.diff(batch.edge_offsets) / np.maximum(_count(batch, inner), 1),
        np.bincount(batch.graph[source[jumps]], minlength=n),
        np.maximum(shortest - 1, 0),
        _count(batch, inner & first),
        _count(batch, inner & last),
        np.log1p(batch.total("params")),
        np.log1p(batch.total("macs")),
    )
    column = {word: i for i, word in enumerate(operations)}
    code = np.array([column.get(word, len(operations)) for word in batch.words], dtype=np.int64)
    marks = (inner, direct, inner & first, inner & last)
    counts = [_per_operation(batch, code, mark, len(operations) + 1) for mark in marks]
    return np.column_stack([*shape, *counts]).astype(np.float64)


def distance(batch: GraphBatch, backward: bool = False) -> IntArray:
    """Edges on the shortest path from an input to each node, or from each node to the output, shape (N,)."""
    found = np.zeros(len(batch.nodes), dtype=np.int64)
    for level in batch.levels(backward):
        found[level.nodes] = 1 + np.minimum.reduceat(found[level.sources], level.start)
    return found


def _count(batch: GraphBatch, mark: npt.NDArray[np.bool_]) -> IntArray:
    """Marked nodes of each graph, shape (n,)."""
    return np.bincount(batch.graph[mark], minlength=len(batch))


def _most(batch: GraphBatch, values: IntArray) -> IntArray:
    """The largest value of each graph's nodes, shape (n,)."""
    found = np.zeros(len(batch), dtype=np.int64)
    np.maximum.at(found, batch.graph, values)
    return found


def _width(batch: GraphBatch, mark: npt.NDArray[np.bool_]) -> IntArray:
    """Marked nodes of the most crowded generation of each graph, shape (n,)."""
    deep = int(batch.generation.max(initial=0)) + 1
    crowd = np.bincount((batch.graph * deep + batch.generation)[mark], minlength=len(batch) * deep)
    return np.asarray(crowd.reshape(len(batch), deep).max(1, initial=0), dtype=np.int64)


def _per_operation(batch: GraphBatch, code: IntArray, mark: npt.NDArray[np.bool_], n: int) -> IntArray:
    """How often each operation is marked in each graph, shape (graphs, n)."""
    return np.bincount(batch.graph[mark] * n + code[mark], minlength=len(batch) * n).reshape(len(batch), n)
