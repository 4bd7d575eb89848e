"""Graphs as encoders compute on them: tensors of one batch, or of one batch for each of several encoders at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from metalcx.encoders._batch import GraphBatch, IntArray, ranges
from metalcx.encoders._layers import Edges, Wave

#: Sizes are rounded up to a multiple of a power of two, by an eighth at most, so that few sizes occur.
FINE = 8


class Inputs(NamedTuple):
    """The graphs of a step, side by side. For several encoders every tensor has a first dimension for these.

    Attributes:
        x: What is known of each node, shape (N, width).
        edges: Every edge, in both directions.
        graph: The graph of each node, shape (N,).
        size: Nodes of each graph, at least 1, shape (graphs,).
        there: Levels along the edges; none where nothing is walked.
        back: Levels against them.
    """

    x: Tensor
    edges: Edges
    graph: Tensor
    size: Tensor
    there: tuple[Wave, ...] = ()
    back: tuple[Wave, ...] = ()

    def to(self, device: str) -> Inputs:
        """The same on a device."""
        return tree_map(lambda tensor: tensor.to(device), self)


def inputs_of(batch: GraphBatch, walked: bool) -> Inputs:
    """All graphs of a batch, for one encoder; `walked` says whether it needs levels."""
    source, target = (torch.from_numpy(ends.copy()) for ends in batch.edges)
    edges = Edges(torch.cat([source, target]), torch.cat([target, source]))
    x, graph, size = map(torch.from_numpy, (batch.features, batch.graph, np.maximum(np.diff(batch.offsets), 1)))
    there, back = (_levels(batch, backward) for backward in (False, True)) if walked else ((), ())
    return Inputs(x, edges, graph, size, there, back)


def _levels(batch: GraphBatch, backward: bool) -> tuple[Wave, ...]:
    found = []
    for nodes, sources, start in batch.levels(backward):
        place = np.repeat(np.arange(len(nodes)), np.diff(start, append=len(sources)))
        found.append(Wave(*map(torch.from_numpy, (nodes, sources, place))))
    return tuple(found)


class Table:
    """Graphs from which the steps of several encoders are taken.

    Args:
        batch: The graphs.
        walked: Whether the encoders need levels.
        device: Where they compute.
    """

    def __init__(self, batch: GraphBatch, walked: bool, device: str = "cpu") -> None:
        self.batch, self.walked, self.device = batch.bare(walked), walked, device
        # One row more, for nodes that are there for their number only.
        self.features = torch.from_numpy(np.pad(batch.features, ((0, 1), (0, 0)))).to(device)

    def take(self, index: IntArray) -> Inputs:
        """Some graphs for each encoder, with as many nodes and edges for each: of some nothing comes of use.

        Args:
            index: Numbers of graphs, shape (encoders, b); -1 for none, which is a graph without nodes. There is one
                graph more in what is returned, the last, of the nodes that were added.
        """
        known = index >= 0
        owner, slot = np.nonzero(known)
        picked, (m, b) = index[known], index.shape
        batch = self.batch.take(picked)
        nodes = _Rows(owner[batch.graph], m, spare=1)
        rows = ranges(self.batch.offsets[picked], np.diff(batch.offsets))
        x = self.features[self._put(nodes.filled(rows, len(self.features) - 1))]
        edges = _Rows(nodes.owner[batch.edges[0]], m)
        a, z = (edges.filled(nodes.place[ends], nodes.width - 1) for ends in batch.edges)
        size = np.ones((m, b + 1), dtype=np.int64)
        size[owner, slot] = np.maximum(np.diff(batch.offsets), 1)
        both = Edges(self._put(np.hstack([a, z])), self._put(np.hstack([z, a])))
        graph = self._put(nodes.filled(slot[batch.graph], b))
        there, back = (self._levels(batch, nodes, way) for way in (False, True)) if self.walked else ((), ())
        return Inputs(x, both, graph, self._put(size), there, back)

    def _levels(self, batch: GraphBatch, nodes: _Rows, backward: bool) -> tuple[Wave, ...]:
        found = []
        for own, sources, start in batch.levels(backward):
            reader = np.repeat(np.arange(len(own)), np.diff(start, append=len(sources)))
            level = _Rows(nodes.owner[own], nodes.m, spare=1)
            read = _Rows(level.owner[reader], nodes.m)
            nowhere = nodes.width - 1
            arrays = (
                level.filled(nodes.place[own], nowhere),
                read.filled(nodes.place[sources], nowhere),
                read.filled(level.place[reader], level.width - 1),
            )
            found.append(Wave(*map(self._put, arrays)))
        return tuple(found)

    def _put(self, array: npt.NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(array).to(self.device, non_blocking=True)


class _Rows:
    """Things side by side, put into rows of one width by whose they are.

    Args:
        owner: Whose each is, in ascending order, shape (n,).
        m: Owners.
        spare: Places that are free in every row at least.
    """

    def __init__(self, owner: IntArray, m: int, spare: int = 0) -> None:
        counts = np.bincount(owner, minlength=m)
        self.owner, self.m = owner, m
        self.place: IntArray = np.arange(len(owner)) - (np.cumsum(counts) - counts)[owner]
        self.width = _rounded(int(counts.max(initial=0)) + spare)

    def filled(self, values: IntArray, rest: int) -> IntArray:
        """Some values in their rows, and `rest` in the free places, shape (m, width)."""
        out = np.full((self.m, self.width), rest, dtype=np.int64)
        out[self.owner, self.place] = values
        return out


def _rounded(n: int) -> int:
    step = max(1, 2 ** max(n, 1).bit_length() // (2 * FINE))
    return -(-n // step) * step
