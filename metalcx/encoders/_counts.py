"""An encoder that learns nothing: how often each operation occurs, and how large the graph is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from metalcx.encoders._batch import FloatArray, Graph, GraphBatch, as_batch
from metalcx.encoders._flow import words_of

#: What follows the counts of operations.
SIZES = ("other", "nodes", "edges", "depth", "params", "macs")


@dataclass(frozen=True)
class CountTable:
    """A table of counts as embedding: what an encoder has to be better than.

    Columns are the number of nodes of each operation, of nodes of other operations, of all nodes and edges, the
    depth (edges on the longest path), and log(1 + parameters) and log(1 + multiply-accumulates) of the whole.

    Args:
        words: Operations that have a column.
    """

    words: tuple[str, ...]

    @classmethod
    def of(cls, graphs: Iterable[Graph]) -> CountTable:
        """The table with a column for each operation that occurs in some graphs."""
        return cls(words_of(graphs))

    @property
    def width(self) -> int:
        """Numbers a graph."""
        return len(self.words) + len(SIZES)

    def encode(self, graphs: Sequence[Graph] | GraphBatch) -> FloatArray:
        """The counts as float32, shape (graphs, width)."""
        batch = as_batch(graphs)
        table = np.zeros((len(batch), self.width), np.float32)
        column = {word: i for i, word in enumerate(self.words)}
        columns = np.array([column.get(word, len(self.words)) for word in batch.words], dtype=np.int64)
        np.add.at(table, (batch.graph, columns), 1)
        sizes = table[:, len(self.words) + 1 :].T
        sizes[0], sizes[1] = np.diff(batch.offsets), np.diff(batch.edge_offsets)
        np.maximum.at(sizes[2], batch.graph, batch.generation)
        sizes[3], sizes[4] = (np.log1p(batch.total(name)) for name in ("params", "macs"))
        return table
