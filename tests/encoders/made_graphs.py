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

#: Edges of a NAS-Bench-201 cell, in the order of its operations.
PLACES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
CELL_OPS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")


def cell(*ops: str) -> ArchGraph:
    """The functional graph of a NAS-Bench-201 cell: its six operations as nodes, those that do nothing left out."""
    kept = [i for i, op in enumerate(ops) if op != "none"]
    while True:
        fed = {0} | {PLACES[i][1] for i in kept}
        used = {3} | {PLACES[i][0] for i in kept}
        left = [i for i in kept if PLACES[i][0] in fed and PLACES[i][1] in used]
        if left == kept:
            break
        kept = left
    number = {i: n + 1 for n, i in enumerate(kept)}
    last = len(kept) + 1
    edges = [(0, number[i]) for i in kept if PLACES[i][0] == 0]
    edges += [(number[i], number[j]) for i in kept for j in kept if PLACES[i][1] == PLACES[j][0]]
    edges += [(number[i], last) for i in kept if PLACES[i][1] == 3]
    return ArchGraph(({"op": "input"}, *({"op": ops[i]} for i in kept), {"op": "output"}), tuple(edges))


def random_cells(n: int, seed: int = 0) -> list[ArchGraph]:
    """Cells with operations drawn alike."""
    rng = np.random.default_rng(seed)
    return [cell(*map(str, rng.choice(CELL_OPS, 6))) for _ in range(n)]
