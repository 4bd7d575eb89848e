"""Search spaces made up for the encoder benchmark, whose architectures are worth what their operations are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

import metalcx as mx
from metalcx.bench import Effort
from metalcx.corpora import write_corpus
from metalcx.encoders import FinetuneConfig, PretrainConfig
from metalcx.graphs import ArchGraph, from_nasbench201

CELL_WORTH = {"nor_conv_3x3": 1.0, "nor_conv_1x1": 0.5, "avg_pool_3x3": -0.5, "skip_connect": 0.1}
GNN_WORTH = {"gat": 1.0, "gcn": 0.6, "fc": -0.6, "cheb": 0.2}
QUICK = Effort(
    PretrainConfig(epochs=3, batch=64), FinetuneConfig(epochs=15, rate=5e-3), hidden=16, sources=60, source_epochs=6
)


def ladder(ops: Sequence[str], swap: bool = False) -> ArchGraph:
    """Operations in a row, a shortcut around the first; swapped, the same with other numbers."""
    n = len(ops)
    nodes = [{"op": "input"}, *({"op": op} for op in ops), {"op": "output"}]
    edges = [(i, i + 1) for i in range(n + 1)] + [(0, 2)]
    order = list(range(n + 2))[::-1] if swap else list(range(n + 2))
    return ArchGraph(tuple(nodes[i] for i in order), tuple((order.index(a), order.index(b)) for a, b in edges))


def write(root: Path, name: str, archs: pd.DataFrame, tables: dict[str, tuple[str, mx.Metric, pd.DataFrame]]) -> None:
    """A corpus of architectures, columns arch, format, spec, graph, group, and of task: (family, metric, points)."""
    runs = archs[["arch", "group"]].assign(run=archs["arch"])
    pieces = [
        (task, mx.Curves.from_frame(points.set_axis(["run", "t", "value"], axis=1), metric, runs))
        for task, (_, metric, points) in tables.items()
    ]
    known = [(task, task, family, "image", metric.name) for task, (family, metric, _) in tables.items()]
    write_corpus(
        root / name,
        pd.DataFrame(known, columns=["task", "dataset", "family", "domain", "metric"]),
        pieces,
        archs.drop(columns="group"),
        name=name,
        time_unit="epoch",
        metrics=tuple({metric.name: metric for _, metric, _ in tables.values()}.values()),
        licence="CC0-1.0",
        citation="none",
        redistributable=True,
    )


def cells(root: Path) -> None:
    """`cells`: 300 architectures, two budgets on one dataset and a loss after curves of five steps on another.

    Every fifth has the graph of the one before it in other numbers; every seventh the group of the one before it.
    """
    rng = np.random.default_rng(0)
    ops = [rng.choice(list(CELL_WORTH), int(rng.integers(2, 6))).tolist() for _ in range(300)]
    ops = [ops[i - 1] if i % 5 == 4 else o for i, o in enumerate(ops)]
    worth = np.array([sum(CELL_WORTH[op] for op in o) for o in ops])
    names = [f"a{i}" for i in range(300)]
    graphs = [ladder(o, swap=i % 5 == 4).to_json() for i, o in enumerate(ops)]
    archs = pd.DataFrame({"arch": names, "format": "made-up", "spec": None, "graph": graphs})
    archs["group"] = [f"g{i - (i % 7 == 6)}" for i in range(300)]
    two = pd.DataFrame([(a, t, w * t) for a, w in zip(names, worth, strict=True) for t in (1.0, 9.0)])
    five = pd.DataFrame([(a, t, (5 - t) - w) for a, w in zip(names, worth, strict=True) for t in range(1, 6)])
    accuracy, loss = mx.Metric("acc", "max"), mx.Metric("loss", "min")
    write(root, "cells", archs, {"cifar": ("c", accuracy, two), "digits": ("d", loss, five)})


def gnns(root: Path, n: int = 200) -> None:
    """`nas-bench-graph`: architectures of which four datasets, two of one family, have much the same opinion."""
    rng = np.random.default_rng(1)
    ops = [rng.choice(list(GNN_WORTH), int(rng.integers(2, 6))).tolist() for _ in range(n)]
    worth = np.array([sum(GNN_WORTH[op] for op in o) for o in ops])
    names = [f"n{i}" for i in range(n)]
    archs = pd.DataFrame(
        {"arch": names, "format": "made-up", "spec": None, "graph": [ladder(o).to_json() for o in ops]}
    )
    archs["group"] = names
    accuracy = mx.Metric("acc", "max")
    tables = {}
    for task, family in (("cora", "cora"), ("photo", "amazon"), ("computers", "amazon"), ("arxiv", "arxiv")):
        values = 10 * worth + rng.normal(0, 1, n)
        tables[task] = (family, accuracy, pd.DataFrame({"run": names, "t": 1.0, "value": values}))
    write(root, "nas-bench-graph", archs, tables)


def plain(root: Path, n: int = 200) -> None:
    """`plain`: architectures without a weight, which no zero-cost proxy tells apart."""
    rng = np.random.default_rng(3)
    names = [f"p{i}" for i in range(n)]
    ops = [rng.choice(["relu", "tanh", "sigmoid"], int(rng.integers(2, 7))).tolist() for _ in range(n)]
    archs = pd.DataFrame(
        {"arch": names, "format": "made-up", "spec": None, "graph": [ladder(o).to_json() for o in ops]}
    )
    archs["group"] = names
    points = pd.DataFrame({"run": names, "t": 1.0, "value": [float(o.count("relu")) for o in ops]})
    write(root, "plain", archs, {"p": ("p", mx.Metric("acc", "max"), points)})


def published(root: Path, n: int = 600) -> None:
    """`nb201-finals`: some cells as they are written, with operations that do nothing."""
    rng = np.random.default_rng(2)
    words = rng.choice([*CELL_WORTH, "none"], (n, 6), p=[0.15, 0.15, 0.15, 0.15, 0.4])
    texts = list(dict.fromkeys("|{}~0|+|{}~0|{}~1|+|{}~0|{}~1|{}~2|".format(*row) for row in words))
    graphs = [from_nasbench201(text) for text in texts]
    archs = pd.DataFrame(
        {"arch": texts, "format": "nasbench201", "spec": texts, "graph": [g.to_json() for g in graphs]}
    )
    archs["group"] = texts
    worth = [sum(CELL_WORTH.get(node["op"], 0.0) for node in g.nodes) for g in graphs]
    points = pd.DataFrame({"run": texts, "t": 1.0, "value": worth})
    write(root, "nb201-finals", archs, {"cifar10": ("cifar10", mx.Metric("acc", "max"), points)})
