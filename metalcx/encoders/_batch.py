"""Many graphs in flat arrays, so that what is computed on them has no loop over graphs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, pairwise
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from metalcx.errors import DataError
from metalcx.graphs import describe

#: What belongs to a node whatever else is in the batch, so that what is known goes on being known.
OF_NODES = ("words", "features", "generation")

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]


class Graph(Protocol):
    """What is asked of a graph: an `ArchGraph`, or an unpruned cell that an `ArchGraph` would refuse."""

    @property
    def nodes(self) -> Sequence[Mapping[str, Any]]:
        """One mapping a node, with the word ``op``."""
        ...

    @property
    def edges(self) -> Sequence[tuple[int, int]]:
        """Pairs (source, target) of node numbers, acyclic."""
        ...


class Level(NamedTuple):
    """Nodes of one generation, over all graphs, and the edges that lead to them in the direction walked.

    Attributes:
        nodes: Which, shape (m,); only nodes to which an edge leads.
        sources: Nodes at the other end of their edges, those of one node side by side, shape (e,).
        start: Where in `sources` each node's edges begin, shape (m,).
    """

    nodes: IntArray
    sources: IntArray
    start: IntArray


@dataclass(frozen=True)
class GraphBatch:
    """Graphs as flat arrays; nodes and edges of a graph stand side by side, in the order that the graph has them.

    Attributes:
        nodes: Attributes of every node, (N,) objects.
        offsets: Where each graph's nodes begin, and N, shape (graphs + 1,).
        edges: Sources and targets, numbered over the batch, shape (2, E).
        edge_offsets: Where each graph's edges begin, and E, shape (graphs + 1,).
    """

    nodes: npt.NDArray[Any]
    offsets: IntArray
    edges: IntArray
    edge_offsets: IntArray

    @classmethod
    def from_graphs(cls, graphs: Sequence[Graph]) -> GraphBatch:
        """The batch of some graphs."""
        all_nodes, all_edges = [g.nodes for g in graphs], [g.edges for g in graphs]
        offsets, edge_offsets = _offsets(map(len, all_nodes)), _offsets(map(len, all_edges))
        nodes = np.empty(offsets[-1], dtype=object)
        nodes[:] = list(chain.from_iterable(all_nodes))
        ends = chain.from_iterable(chain.from_iterable(all_edges))
        edges = np.fromiter(ends, np.int64, count=2 * int(edge_offsets[-1])).reshape(-1, 2).T
        return cls(nodes, offsets, edges + np.repeat(offsets[:-1], np.diff(edge_offsets)), edge_offsets)

    @classmethod
    def joined(cls, batches: Sequence[GraphBatch]) -> GraphBatch:
        """One batch of several, in their order."""
        sizes = np.array([(len(b.nodes), b.edges.shape[1]) for b in batches]).reshape(-1, 2)
        nodes, edges = np.cumsum(sizes, axis=0).T - sizes.T
        parts = list(zip(batches, nodes, edges, strict=True))
        whole = cls(
            np.concatenate([np.empty(0, dtype=object), *(b.nodes for b in batches)]),
            np.concatenate([[0], *(b.offsets[1:] + n for b, n, _ in parts)]).astype(np.int64),
            np.concatenate([np.zeros((2, 0), np.int64), *(b.edges + n for b, n, _ in parts)], axis=1),
            np.concatenate([[0], *(b.edge_offsets[1:] + e for b, _, e in parts)]).astype(np.int64),
        )
        for name in OF_NODES:
            if batches and all(name in b.__dict__ for b in batches):
                whole.__dict__[name] = np.concatenate([b.__dict__[name] for b in batches])
        return whole

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def take(self, index: npt.ArrayLike) -> GraphBatch:
        """The graphs of these numbers, in this order; one may occur more than once.

        Args:
            index: Numbers of graphs, shape (m,).
        """
        picked = np.asarray(index, dtype=np.int64)
        start, size = self.offsets[picked], np.diff(self.offsets)[picked]
        n_edges = np.diff(self.edge_offsets)[picked]
        rows = ranges(start, size)
        offsets = _offsets(size)
        edges = self.edges[:, ranges(self.edge_offsets[picked], n_edges)] + np.repeat(offsets[:-1] - start, n_edges)
        taken = GraphBatch(self.nodes[rows], offsets, edges, _offsets(n_edges))
        for name in OF_NODES:
            if name in self.__dict__:
                taken.__dict__[name] = self.__dict__[name][rows]
        return taken

    def bare(self, walked: bool) -> GraphBatch:
        """How nodes are linked, and if need be their generations, without what they are: much faster to take from."""
        linked = GraphBatch(np.zeros(len(self.nodes), dtype=np.int8), self.offsets, self.edges, self.edge_offsets)
        if walked:
            linked.__dict__["generation"] = self.generation
        return linked

    @cached_property
    def graph(self) -> IntArray:
        """The graph of each node, shape (N,)."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    @cached_property
    def words(self) -> npt.NDArray[np.object_]:
        """The operation of each node, (N,) text."""
        words = np.empty(len(self.nodes), dtype=object)
        words[:] = [node["op"] for node in self.nodes]
        return words

    @cached_property
    def features(self) -> FloatArray:
        """What `metalcx.graphs.describe` says of each node, shape (N, D)."""
        return describe(self.nodes.tolist())

    @cached_property
    def generation(self) -> IntArray:
        """Edges on the longest path that leads to each node, shape (N,): its topological generation, from 0.

        Raises:
            DataError: If a graph has a cycle.
        """
        source, target = self.edges
        after, start = target[np.argsort(source, kind="stable")], _starts(source, len(self.nodes))
        waiting = np.bincount(target, minlength=len(self.nodes))
        generation = np.full(len(self.nodes), -1, dtype=np.int64)
        front, level = np.flatnonzero(waiting == 0), 0
        while len(front):
            generation[front] = level
            reached = after[ranges(start[front], start[front + 1] - start[front])]
            np.subtract.at(waiting, reached, 1)
            front, level = np.unique(reached[waiting[reached] == 0]), level + 1
        if (generation < 0).any():
            raise DataError(f"graph {self.graph[np.argmin(generation)]} of the batch has a cycle; a graph is acyclic")
        return generation

    def total(self, name: str) -> npt.NDArray[np.float64]:
        """Sums of a count, such as ``params``, over the nodes of each graph, shape (graphs,); 0 where none has it."""
        counts = np.fromiter((node.get(name, 0) for node in self.nodes), np.float64, len(self.nodes))
        return np.bincount(self.graph, counts, minlength=len(self)).astype(np.float64)

    def levels(self, backward: bool = False) -> list[Level]:
        """Generations from the second on, each after all that its nodes read from; backward, from the last but one."""
        source, target = self.edges[::-1] if backward else self.edges
        order = np.lexsort((target, self.generation[target]))
        source, target = source[order], target[order]
        # Where a node's edges begin, and where a generation's nodes do.
        first = np.flatnonzero(np.diff(target, prepend=-1))
        nodes = target[first]
        cuts = [*np.flatnonzero(np.diff(self.generation[nodes], prepend=-1)), len(nodes)]
        first = np.append(first, len(source))
        levels = [
            Level(nodes[low:high], source[first[low] : first[high]], first[low:high] - first[low])
            for low, high in pairwise(cuts)
        ]
        return levels[::-1] if backward else levels


def as_batch(graphs: Sequence[Graph] | GraphBatch) -> GraphBatch:
    """The batch itself, or that of some graphs."""
    return graphs if isinstance(graphs, GraphBatch) else GraphBatch.from_graphs(graphs)


def _offsets(sizes: Any) -> IntArray:
    return np.cumsum(np.fromiter(chain((0,), sizes), np.int64), dtype=np.int64)


def _starts(sorted_by: IntArray, n: int) -> IntArray:
    """Where each of the numbers 0..n begins once `sorted_by` is in order, shape (n + 1,)."""
    return np.concatenate([[0], np.cumsum(np.bincount(sorted_by, minlength=n))])


def ranges(start: IntArray, size: IntArray) -> IntArray:
    """Every range start..start+size, one after another."""
    before = np.cumsum(size) - size
    return np.arange(size.sum()) + np.repeat(start - before, size)
