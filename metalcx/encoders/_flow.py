"""The flow surrogate: what a network that passes random information forward and back would make of a graph."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from metalcx.encoders._batch import FloatArray, Graph, GraphBatch, as_batch
from metalcx.errors import DataError, name_some
from metalcx.graphs import FEATURES


@dataclass(frozen=True)
class FlowSurrogate:
    """Numbers that follow from how a graph is wired and from nothing learned, after Kim et al. (FGP, NeurIPS 2025).

    With x_v the operation of node v, drawn once: P ~ N(0, std²) that maps operations to k numbers, W ~ N(0, std²) of
    shape (2k, k), r ~ U(0, 1) of shape (k,). Forward, f_v = r for every node without a predecessor; any other is

        f_v = alpha m_v + (1 - alpha) ReLU([x_v P ; m_v] W),    m_v = sum of f over its predecessors,

    generation after generation. Backward, from the forward values and from the last generation to the first, the same
    with successors instead. The surrogate is the sum of f over the nodes that began with r. Of two edges between the
    same nodes each counts. Published settings (k, std): NAS-Bench-101 (4, 1), 201 (7, .1), 301 (12, .1).

    Args:
        k: Numbers a graph.
        std: Standard deviation of P and W.
        alpha: Share of what passes as it came.
        seed: Of r, P and W.
        words: The operations there are; x_v is one-hot in this order. By default x_v is what
            `metalcx.graphs.describe` says, which knows no list.

    Raises:
        DataError: If k is less than 1, std is not positive, alpha is not between 0 and 1, or a word occurs twice.
    """

    k: int = 4
    std: float = 1.0
    alpha: float = 0.5
    seed: int = 0
    words: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.k < 1 or not self.std > 0 or not 0 <= self.alpha <= 1:
            raise DataError(
                f"k is at least 1, std more than 0, alpha between 0 and 1; got {self.k}, {self.std}, {self.alpha}"
            )
        if self.words is not None and len(set(self.words)) < len(self.words):
            raise DataError("the list of operations names one twice; name each once")

    def __call__(self, graphs: Sequence[Graph] | GraphBatch) -> FloatArray:
        """The surrogates of some graphs, each independent of which others there are.

        Args:
            graphs: Graphs, or their batch.

        Returns:
            Float32, shape (graphs, k).

        Raises:
            DataError: If an operation is not among `words`.
        """
        batch = as_batch(graphs)
        r, P, W = self.drawn()
        # Both halves of W at once for what does not change.
        own, passed = self._inputs(batch, P) @ W[: self.k], W[self.k :]
        first = (batch.generation == 0) & _can_start(batch)
        flow = np.where((batch.generation == 0)[:, None], r, np.float32(0))
        for level in [*batch.levels(), *batch.levels(backward=True)]:
            m = np.add.reduceat(flow[level.sources], level.start)
            kept = np.float32(self.alpha) * m
            flow[level.nodes] = kept + np.float32(1 - self.alpha) * np.maximum(own[level.nodes] + m @ passed, 0)
        return _summed(np.where(first[:, None], flow, np.float32(0)), batch)

    def drawn(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """r, P and W of float32, shapes (k,), (operations, k) and (2k, k)."""
        random = np.random.RandomState(self.seed)
        r = random.uniform(size=self.k)
        random.uniform(size=self.k)  # the authors draw another and never use it
        n = len(FEATURES) if self.words is None else len(self.words)
        P, W = (random.normal(0.0, self.std, (rows, self.k)) for rows in (n, 2 * self.k))
        return r.astype(np.float32), P.astype(np.float32), W.astype(np.float32)

    def _inputs(self, batch: GraphBatch, P: FloatArray) -> FloatArray:
        if self.words is None:
            return batch.features @ P
        row = {word: i for i, word in enumerate(self.words)}
        unknown = sorted(set(batch.words) - row.keys())
        if unknown:
            raise DataError(f"operations {name_some(unknown)} are not among the surrogate's words; name them there")
        return P[[row[word] for word in batch.words]]


def words_of(graphs: Iterable[Graph]) -> tuple[str, ...]:
    """The operations that occur, in alphabetical order."""
    return tuple(sorted({node["op"] for graph in graphs for node in graph.nodes}))


def _can_start(batch: GraphBatch) -> FloatArray:
    """All nodes but an output that nothing leads to: its graph's input alone has the flow."""
    return batch.words != "output"


def _summed(values: FloatArray, batch: GraphBatch) -> FloatArray:
    """Sums over the nodes of each graph, none of which is empty."""
    return np.add.reduceat(values, batch.offsets[:-1]) if len(batch) else np.zeros((0, values.shape[1]), np.float32)
