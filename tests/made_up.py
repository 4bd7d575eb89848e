"""Made-up source tasks, pools and corpora, small enough to meta-train on in a second."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from strategies import SCORE, make

from metalcx.corpora import write_corpus
from metalcx.curves import Curves, Metric
from metalcx.forecasters._gate_inputs import GATED, N_FEATURES
from metalcx.forecasters._gate_items import Items
from metalcx.forecasters._gate_network import GateConfig
from metalcx.transfer import Pool, PreparedTask, prepare
from metalcx.transfer._pool import NONE

#: A network that trains in milliseconds.
SMALL = GateConfig(members=2, width=8, depth=1, dropout=0.1)


def rising(n: int, points: int, seed: int, ragged: bool = False) -> list[tuple[np.ndarray, np.ndarray]]:
    """(t, y) of `n` noisy power laws; ragged ones end at times of their own."""
    rng = np.random.default_rng(seed)
    length = rng.integers(points // 2, points + 1, n) if ragged else np.full(n, points)
    parts = []
    for size in length:
        t = np.arange(1.0, size + 1)
        top, gap, power = rng.uniform(0.5, 0.9), rng.uniform(0.2, 0.5), rng.uniform(0.3, 1.5)
        parts.append((t, top - gap * t**-power + 0.005 * rng.normal(size=size)))
    return parts


def task(
    name: str, family: str, seed: int = 0, n: int = 24, points: int = 20, corpus: str = "made-up", **known: object
) -> PreparedTask:
    """A prepared task of power laws."""
    prepared = prepare(make(SCORE, rising(n, points, seed), **known), name, corpus, family)
    assert prepared is not None
    return prepared


def tasks(count: int, **known: int) -> list[PreparedTask]:
    """`count` tasks, each of a family of its own."""
    return [task(f"t{i}", f"f{i}", seed=i, **known) for i in range(count)]


def corpus(folder: Path, name: str, families: list[str], n: int = 44, ragged: bool = False) -> None:
    """A corpus on disk with a task for each of `families`, of the metric ``acc``."""
    metric = Metric("acc", "max", 0.0, 1.0)
    rows = [
        {"task": f"task-{f}", "dataset": f"data-{f}", "family": f, "domain": "toy", "metric": "acc"} for f in families
    ]
    seeds = [sum(map(ord, name + f)) for f in families]
    pieces = [(row["task"], _runs(metric, n, seed, ragged)) for row, seed in zip(rows, seeds, strict=True)]
    write_corpus(
        folder / name,
        pd.DataFrame(rows),
        pieces,
        name=name,
        time_unit="epoch",
        metrics=(metric,),
        licence="CC0-1.0",
        citation="none",
        redistributable=True,
    )


def _runs(metric: Metric, n: int, seed: int, ragged: bool) -> Curves:
    parts = [(t, np.clip(y, 0, 1)) for t, y in rising(n, 24, seed, ragged)]
    names = np.array([f"r{i}" for i in range(n)], dtype=object)
    return make(metric, parts, ids=list(names), group=names, arch=np.full(n, None, dtype=object))


def items(rows: int, seed: int, dtype: type = np.float32) -> Items:
    """Requests to which the third expert knows the answer, all but for a little noise."""
    rng = np.random.default_rng(seed)
    x, offsets = rng.normal(size=(rows, N_FEATURES)), rng.normal(size=(rows, len(GATED)))
    columns = (x, offsets, offsets[:, 2] + 0.02 * rng.normal(size=rows), rng.uniform(0.5, 1.5, rows))
    return Items(*(c.astype(dtype) for c in columns))


def items_pool(episodes: int = 12, support: bool = False, seed: int = 0, dtype: type = np.float32) -> Pool:
    """A pool of such requests, ten an episode, without any curve behind them; episode i is of task i % 3."""
    owner = np.repeat(np.arange(episodes), 10)
    task_of = np.column_stack([np.arange(episodes) % 3, np.full(episodes, NONE)])
    held = (items(10 * episodes, seed + 1, dtype), owner) if support else (None, None)
    return Pool(items(10 * episodes, seed, dtype), owner, task_of, *held)
