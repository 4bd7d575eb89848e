import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from metalcx.corpora import write_corpus
from metalcx.curves import Curves, Metric

LOSS = Metric("loss", "min", 0.0)
ACC = Metric("acc", "max", 0.0, 1.0)
DATA = Path(os.environ.get("METALCX_DATA") or Path(__file__).resolve().parents[2] / ".." / "shared" / "data")
GRAPH = '{"nodes": [{"op": "input"}, {"op": "conv", "kernel": 3}, {"op": "output"}], "edges": [[0, 1], [1, 2]]}'


def make_curves(n=4, points=5, seed=0, diverged=(1,), name="run"):
    """Ragged curves of two metrics: run i has `points + i` points, those in `diverged` end in inf."""
    rng = np.random.default_rng(seed)
    length = points + np.arange(n)
    offsets = np.concatenate([[0], np.cumsum(length)])
    loss, acc = rng.uniform(0.1, 2, offsets[-1]), rng.uniform(0, 1, offsets[-1])
    ends = offsets[1:][list(diverged)] - 1
    loss[ends], acc[ends] = np.inf, np.nan
    return Curves(
        metric=LOSS,
        metrics=(LOSS, ACC),
        ids=np.array([f"{name}{i}" for i in range(n)], dtype=object),
        offsets=offsets,
        t=np.concatenate([np.arange(k) * 0.5 for k in length]),
        values={"loss": loss, "acc": acc},
        status=np.array(["diverged" if i in diverged else "completed" for i in range(n)], dtype=object),
        config=pd.DataFrame({"lr": rng.random(n), "depth": [1 if i % 2 else None for i in range(n)], "opt": "adam"}),
        arch=np.array(["net" if i % 2 == 0 else None for i in range(n)], dtype=object),
        group=np.array([f"{name}-g{i // 2}" for i in range(n)], dtype=object),
        time_unit="epoch",
    )


def manifest(**changed):
    known = {"name": "tiny", "time_unit": "epoch", "metrics": (LOSS, ACC), "licence": "CC0-1.0", "citation": "none"}
    return {**known, "redistributable": True, **changed}


def task_row(task, dataset=None, family=None, **meta):
    dataset = dataset or f"{task}-data"
    return {"task": task, "dataset": dataset, "family": family or dataset, "domain": "toy", "metric": "loss", **meta}


def write_tiny(path, tasks=("a", "b"), n=4, seed=0, **changed):
    table = pd.DataFrame([task_row(task, n_train=10 * k) for k, task in enumerate(tasks)])
    archs = pd.DataFrame([{"arch": "net", "format": "name", "features": '{"params": 3}', "graph": GRAPH}])
    pieces = [(task, make_curves(n=n, seed=seed + k, name=task)) for k, task in enumerate(tasks)]
    return write_corpus(path, table, pieces, archs, **manifest(**changed))


@pytest.fixture
def tiny(tmp_path):
    """A small valid corpus: tasks a and b, four runs each, one of them diverged."""
    return write_tiny(tmp_path / "tiny")
