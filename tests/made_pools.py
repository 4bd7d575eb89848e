"""A corpus of cells with learning rates on several datasets, of which all but one agree on what is good."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

import metalcx as mx
from metalcx.corpora import write_corpus
from metalcx.graphs import ArchGraph, from_nasbench201

OPS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")


def specs(n: int, seed: int = 0) -> list[str]:
    """Cells of NAS-Bench-201, drawn."""
    random = np.random.default_rng(seed)
    form = "|{}~0|+|{}~0|{}~1|+|{}~0|{}~1|{}~2|"
    return list(dict.fromkeys(form.format(*random.choice(OPS, 6)) for _ in range(n)))


def worth(spec: str, rate: float = 0.01) -> float:
    """Convolutions help, and so does a learning rate near .01."""
    return 2 * spec.count("nor_conv_3x3") + spec.count("nor_conv_1x1") - abs(np.log10(rate) + 2)


def write_pools(path: Path, n: int = 60, families: int = 4, goal: str = "max", seed: int = 0, bent: int = -1) -> Path:
    """One task a family; the same cells on all of them, with noise. On family `bent` the order is reversed."""
    cells, random = specs(n, seed), np.random.default_rng(seed)
    rates = 10.0 ** random.uniform(-4, 0, len(cells))
    sign = 1.0 if goal == "max" else -1.0
    metric = mx.Metric("score", goal)
    names = [f"d{i}" for i in range(families)]
    curves = []
    for i, name in enumerate(names):
        value = np.array([worth(cell, rate) for cell, rate in zip(cells, rates, strict=True)])
        value = sign * (-1.0 if i == bent else 1.0) * (value + 0.3 * random.normal(size=len(cells)))
        runs = [f"r{j}" for j in range(len(cells))]
        config = {"run": runs, "arch": cells, "lr": rates}
        table = pd.DataFrame({"run": runs, "t": 1.0, "value": value})
        curves.append((name, mx.Curves.from_frame(table, metric, pd.DataFrame(config))))
    about = {"task": names, "dataset": names, "family": names, "domain": "image", "metric": "score"}
    known = [from_nasbench201(cell) for cell in cells]
    shown = {"arch": cells, "format": "nasbench201", "spec": cells, "graph": [g.to_json() for g in known]}
    write_corpus(
        path,
        pd.DataFrame(about),
        curves,
        pd.DataFrame(shown),
        name=path.name,
        time_unit="epoch",
        metrics=(metric,),
        licence="CC0-1.0",
        citation="none",
        redistributable=True,
    )
    return path


def chain(*ops: str, skip: bool = False) -> ArchGraph:
    """Operations one after another; with `skip`, the input also feeds the last of them."""
    n = len(ops)
    edges = [(i, i + 1) for i in range(n + 1)] + ([(0, n)] if skip else [])
    return ArchGraph(tuple({"op": op} for op in ("input", *ops, "output")), tuple(edges))
