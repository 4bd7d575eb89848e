"""Time the flow surrogate, batched, beside a plain implementation that takes one graph and one node at a time.

    python benchmarks/flow_surrogate.py FOLDER

FOLDER holds corpora; those of `--corpus` that have graphs are measured, their column `graph` read and parsed before the
clock starts. `batch_s` is making the batch out of graphs in memory, `flow_s` the surrogates of that batch, generations
included, `total_s` both; least of `--repeat`. The plain
implementation starts from the same graphs and is timed once. `difference` is the
largest between both, in parts of the largest number.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from metalcx.encoders import FlowSurrogate, GraphBatch, words_of
from metalcx.graphs import ArchGraph

RESULTS = Path(__file__).parent / "results" / "flow_surrogate.csv"
FIELDS = (
    "corpus",
    "graphs",
    "nodes",
    "edges",
    "largest",
    "deepest",
    "batch_s",
    "flow_s",
    "total_s",
    "plain_s",
    "times",
)
CORPORA = ("nb201-finals", "lemur", "nas-bench-graph", "nas-bench-macro", "nas-bench-nlp-wt2")


def plain(surrogate: FlowSurrogate, graphs: list[ArchGraph]) -> np.ndarray:
    """Every graph by itself, node by node, with numpy for the arithmetic."""
    drawn = surrogate.drawn()
    row = {word: i for i, word in enumerate(surrogate.words or ())}
    return np.stack([plain_one(graph, *drawn, row, np.float32(surrogate.alpha)) for graph in graphs])


def plain_one(
    graph: ArchGraph, r: np.ndarray, P: np.ndarray, W: np.ndarray, row: dict[str, int], a: np.float32
) -> np.ndarray:
    n = len(graph.nodes)
    before: list[list[int]] = [[] for _ in range(n)]
    after: list[list[int]] = [[] for _ in range(n)]
    for source, target in graph.edges:
        after[source].append(target)
        before[target].append(source)
    order = ordered(before, after)
    f = {i: r for i in range(n) if not before[i]}
    for neighbours, walk in ((before, order), (after, order[::-1])):
        for i in walk:
            if neighbours[i]:
                m = np.sum([f[j] for j in neighbours[i]], axis=0)
                f[i] = a * m + (1 - a) * np.maximum(np.concatenate([P[row[graph.nodes[i]["op"]]], m]) @ W, 0)
    return np.sum([f[i] for i in range(n) if not before[i] and graph.nodes[i]["op"] != "output"], axis=0)


def ordered(before: list[list[int]], after: list[list[int]]) -> list[int]:
    waiting = [len(sources) for sources in before]
    order = [i for i, count in enumerate(waiting) if not count]
    for node in order:
        for target in after[node]:
            waiting[target] -= 1
            if not waiting[target]:
                order.append(target)
    return order


def timed(repeat: int, work: Callable[[], Any]) -> tuple[float, Any]:
    """The least time, and what was computed."""
    least, result = float("inf"), None
    for _ in range(repeat):
        start = time.perf_counter()
        result = work()
        least = min(least, time.perf_counter() - start)
    return least, result


def measure(corpus: str, graphs: list[ArchGraph], repeat: int) -> dict[str, object]:
    surrogate = FlowSurrogate(k=7, std=0.1, words=words_of(graphs))
    batch_s, batch = timed(repeat, lambda: GraphBatch.from_graphs(graphs))
    # A fresh copy each time, since a batch keeps its generations.
    flow_s, _ = timed(
        repeat, lambda: surrogate(GraphBatch(batch.nodes, batch.offsets, batch.edges, batch.edge_offsets))
    )
    total_s, fast = timed(repeat, lambda: surrogate(graphs))
    plain_s, slow = timed(1, lambda: plain(surrogate, graphs))
    difference = np.abs(fast - slow).max() / np.abs(slow).max()
    return {
        "corpus": corpus,
        "graphs": len(graphs),
        "nodes": len(batch.nodes),
        "edges": batch.edges.shape[1],
        "largest": np.diff(batch.offsets).max(),
        "deepest": batch.generation.max(),
        "batch_s": f"{batch_s:.3f}",
        "flow_s": f"{flow_s:.3f}",
        "total_s": f"{total_s:.3f}",
        "plain_s": f"{plain_s:.2f}",
        "times": f"{plain_s / total_s:.1f}",
        "difference": f"{difference:.1e}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the corpora are")
    parser.add_argument("--corpus", nargs="+", default=list(CORPORA))
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    rows = []
    for name in args.corpus:
        texts = pd.read_parquet(args.folder / name / "architectures.parquet", columns=["graph"])["graph"].dropna()
        rows.append(measure(name, [ArchGraph.from_json(text) for text in texts], args.repeat))
        print(rows[-1], file=sys.stderr)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with args.out.open("w", newline="") as file:
        options = shlex.join([*args.corpus, "--repeat", str(args.repeat)])
        file.write(f"# python benchmarks/flow_surrogate.py FOLDER --corpus {options}\n")
        file.write(f"# numpy {np.__version__}, Python {platform.python_version()}, {os.cpu_count()} cores shared\n")
        writer = csv.DictWriter(file, (*FIELDS, "difference"), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
