"""Networks made up for the benchmark of dynamics: how fast a loss falls is what its operations say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

import metalcx as mx
from metalcx.bench.dynamics._fold import Fold, split
from metalcx.bench.dynamics._tasks import DynamicsTask, as_task
from metalcx.corpora import write_corpus
from metalcx.curves import Curves, Metric
from metalcx.graphs import ArchGraph

LOSS = Metric("val_loss", "min", 0.0)
OPS = ("conv_3x3", "linear", "max_pool_3x3")


def graph(ops: list[str], order: list[int] | None = None) -> ArchGraph:
    """Operations in a row, and a way around them; `order` numbers its nodes otherwise."""
    nodes = [{"op": "input"}, *({"op": op} for op in ops), {"op": "output"}]
    edges = [(i, i + 1) for i in range(len(nodes) - 1)] + [(0, len(nodes) - 1)]
    order = order or list(range(len(nodes)))
    return ArchGraph(tuple(nodes[i] for i in order), tuple((order.index(a), order.index(b)) for a, b in edges))


def runs(n: int = 40, points: int = 25, seed: int = 0, extra: int = 0) -> Curves:
    """Runs whose losses begin alike and end by the share of convolutions; every fourth graph is another's, renumbered.

    Args:
        n: How many.
        points: Of each.
        seed: Of all.
        extra: Diverged runs beside them.
    """
    rng = np.random.default_rng(seed)
    rows, archs = [], []
    for i in range(n + extra):
        ops = [str(op) for op in rng.choice(OPS, 3)]
        if i % 4 == 3:
            ops = [node["op"] for node in archs[-1].nodes[1:-1]]
        archs.append(graph(ops, [4, 2, 0, 3, 1] if i % 4 == 3 else None))
        end = 1.0 - 0.25 * ops.count("conv_3x3")
        t = np.arange(points)
        y = end + (2.0 - end) * np.exp(-t / 8.0) + 0.005 * rng.normal(size=points)
        if i >= n:
            y[-1] = np.inf
        rows += [(f"r{i}", float(a), float(b)) for a, b in zip(t, np.maximum(y, 0), strict=True)]
    known = pd.DataFrame(
        {
            "run": [f"r{i}" for i in range(n + extra)],
            "arch": [a.to_json() for a in archs],
            "group": [f"g{i}" for i in range(n + extra)],
        }
    )
    return Curves.from_frame(pd.DataFrame(rows, columns=["run", "t", "value"]), LOSS, known)


def made_task(**known: int) -> DynamicsTask:
    """A task of such runs."""
    return as_task(runs(**known), "made/nets", "made", "nets")


def made_fold(seed: int = 0, **known: int) -> Fold:
    """A split of them."""
    return split(made_task(**known), seed)


def write_nets(root: Path, name: str = "made") -> None:
    """A corpus of a task of such runs, two of which diverge."""
    curves = runs(extra=2)
    texts = [str(text) for text in curves.arch]
    archs = pd.DataFrame({"arch": [f"a{i}" for i in range(len(texts))], "format": "made-up", "graph": texts})
    archs["spec"] = [f'{{"network": "{"mlp" if i < 24 else "cell-cnn"}"}}' for i in range(len(texts))]
    named = mx.Curves(
        **{**{f: getattr(curves, f) for f in curves.__dataclass_fields__}, "arch": archs["arch"].to_numpy(object)}
    )
    write_corpus(
        root / name,
        pd.DataFrame({"task": ["nets"], "dataset": "nets", "family": "nets", "domain": "toy", "metric": LOSS.name}),
        [("nets", named)],
        archs,
        name=name,
        time_unit="epoch",
        metrics=(LOSS,),
        licence="CC0-1.0",
        citation="none",
        redistributable=True,
    )
