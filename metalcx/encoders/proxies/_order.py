"""Nodes in an order that no numbering of a graph changes, so that isomorphic graphs get the same weights."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from metalcx.encoders._batch import GraphBatch

Colours = npt.NDArray[np.uint64]

#: Sweeps along all edges and back in a refinement.
SWEEPS = 3


def ordered(batch: GraphBatch) -> GraphBatch:
    """The same graphs with nodes by generation, and within one by operation and all that surrounds them.

    Nodes that are alike so far are told apart by picking one, after which the others are told by their place to it
    (individualisation and refinement). This is exact where nodes of one colour are symmetric, as in small cells.
    """
    colours = np.array([_of_word(word) for word in batch.words], dtype=np.uint64)
    waiting = np.ones(len(batch), dtype=bool)
    while waiting.any():
        colours = np.where(waiting[batch.graph], _refined(batch, colours), colours)
        picked = _first_alike(batch, colours)
        colours[picked] = _mixed(colours[picked] ^ np.uint64(1))
        waiting = np.isin(np.arange(len(batch)), batch.graph[picked])
    return _renumbered(batch, np.lexsort((colours, batch.generation, batch.graph)))


def _first_alike(batch: GraphBatch, colours: Colours) -> npt.NDArray[np.int64]:
    """Of each graph with nodes of one colour, a node of the least such colour."""
    order = np.lexsort((colours, batch.graph))
    graph, colour = batch.graph[order], colours[order]
    alike = np.flatnonzero((graph[1:] == graph[:-1]) & (colour[1:] == colour[:-1]))
    return order[alike[np.unique(graph[alike], return_index=True)[1]]]


def _refined(batch: GraphBatch, colours: Colours) -> Colours:
    """Colours that say what leads to each node and where it leads, by way of which colours."""
    for _ in range(SWEEPS):
        for backward in (False, True):
            colours = _mixed(colours + np.uint64(backward))
            for level in batch.levels(backward):
                around = np.add.reduceat(_mixed(colours[level.sources]), level.start)
                colours[level.nodes] = _mixed(colours[level.nodes] + around)
    return colours


def _renumbered(batch: GraphBatch, order: npt.NDArray[np.int64]) -> GraphBatch:
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    source, target = place[batch.edges]
    # Graphs keep their places, so edges in this order are still graph by graph.
    edges = np.stack([source, target])[:, np.lexsort((source, target))]
    return GraphBatch(batch.nodes[order], batch.offsets, edges, batch.edge_offsets)


def _of_word(word: str) -> int:
    return int.from_bytes(blake2b(word.encode(), digest_size=8).digest(), "little")


def _mixed(x: Colours) -> Colours:
    """Each number as another that looks drawn at random (the finaliser of SplitMix64, Steele et al. 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
