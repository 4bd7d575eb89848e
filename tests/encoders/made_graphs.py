"""Graphs for tests of the encoders: random ones, and the two rules by which they are changed."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from metalcx.graphs import ArchGraph

OPS = ("conv", "relu", "add", "max_pool")


def random_graph(seed: int, n: int, more: float = 1.5, inputs: int = 1) -> ArchGraph:
    """`n` operations in random order, each read by another or by the output."""
    rng = np.random.default_rng([seed, n])
    edges = set()
    for i in range(inputs, inputs + n):
        edges |= {(int(s), i) for s in rng.integers(0, i, rng.integers(1, 1 + int(2 * more)))}
    last = inputs + n
    edges |= {(i, last) for i in range(last) if all(source != i for source, _ in edges)}
    middle = [
        {"op": str(op), "out": int(rng.integers(1, 9)), "params": int(rng.integers(9))} for op in rng.choice(OPS, n)
    ]
    nodes = [*({"op": "input"} for _ in range(inputs)), *middle, {"op": "output"}]
    return renumbered(ArchGraph(tuple(nodes), tuple(sorted(edges))), rng.permutation(len(nodes)).tolist())


def graphs(most: int = 20) -> st.SearchStrategy[ArchGraph]:
    """Random graphs with one or two inputs."""
    return st.builds(random_graph, st.integers(0, 10**6), st.integers(1, most), inputs=st.integers(1, 2))


def renumbered(graph: ArchGraph, order: list[int]) -> ArchGraph:
    """The same graph with node order[i] as its node i, and the edges in another order."""
    place = {old: new for new, old in enumerate(order)}
    edges = [(place[source], place[target]) for source, target in graph.edges]
    return ArchGraph(tuple(graph.nodes[old] for old in order), tuple(edges[::-1]))


def chain_of(n: int, op: str = "relu") -> ArchGraph:
    """`n` operations one after another."""
    nodes = ({"op": "input"}, *({"op": op} for _ in range(n)), {"op": "output"})
    return ArchGraph(nodes, tuple((i, i + 1) for i in range(n + 1)))


CUT_OFF = ArchGraph(({"op": "input"}, {"op": "output"}), ())
BARE = ArchGraph(({"op": "input"}, {"op": "output"}), ((0, 1),))
