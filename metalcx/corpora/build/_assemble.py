"""From finished stacks to the curves of a task, ready to be written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from metalcx.corpora.build._data import make
from metalcx.corpora.build._engine import Arrays
from metalcx.corpora.build._meta_features import meta_features
from metalcx.corpora.build._plan import TaskPlan
from metalcx.corpora.build._stack import MEASURED, Stack
from metalcx.curves import Curves, Metric
from metalcx.curves._batch import FloatArray, IntArray
from metalcx.graphs import ArchGraph

METRICS = (
    Metric("val_accuracy", "max", 0.0, 1.0, "fraction"),
    Metric("val_r2", "max", None, 1.0, "fraction of variance"),
    Metric("val_loss", "min", 0.0, None, "nat; regression: variance of the training targets"),
    Metric("train_loss", "min", 0.0, None, "nat; regression: variance of the training targets"),
    Metric("test_accuracy", "max", 0.0, 1.0, "fraction, at a run's last point"),
    Metric("test_r2", "max", None, 1.0, "fraction of variance, at a run's last point"),
    Metric("learning_rate", "max", 0.0, None, "of the epoch, schedule included"),
)
TARGET_QUANTILE = 0.6

Values = npt.NDArray[np.float32]


@dataclass(frozen=True)
class TaskResult:
    """A task's runs.

    Attributes:
        curves: All runs, stack by stack.
        seed: Of each run: that of its stack, and its place there.
        meta: Meta-features of the task, from its training data alone, and how runs are stopped.
        architectures: Keyword arguments of `CorpusWriter.add_architecture`, one an architecture.
    """

    curves: Curves
    seed: tuple[str, ...]
    meta: Mapping[str, object]
    architectures: tuple[Mapping[str, Any], ...]


def assemble(plan: TaskPlan, pieces: Sequence[Arrays]) -> TaskResult:
    """Join what the stacks of a task measured; stop runs early where the plan says so."""
    values = np.concatenate([piece["values"] for piece in pieces])
    length = np.concatenate([piece["length"] for piece in pieces])
    last = np.isfinite(values[np.arange(len(values)), length - 1, :3]).all(1)
    status = np.where(last, "completed", "diverged").astype(object)
    configs = [_config(stack, config) for stack in plan.stacks for config in stack.configs]
    score, target = _oriented(values, plan.metric), None
    stop = np.full(len(values), values.shape[1])
    if plan.stopping == "patience":
        stop = _out_of_patience(score, [c.get("patience") for c in configs])
    if plan.stopping == "target":
        target, stop = _at_target(score, plan.metric)
    stopped = stop < length
    length, status = np.where(stopped, stop, length), np.where(stopped, "censored", status).astype(object)
    architectures = [_architecture(stack, piece) for stack, piece in zip(plan.stacks, pieces, strict=True)]
    sizes = [len(stack.configs) for stack in plan.stacks]
    names = [(i, j) for i, n in enumerate(sizes) for j in range(n)]
    curves = Curves(
        metric=next(m for m in METRICS if m.name == plan.metric),
        ids=np.array([f"{plan.spec.task}/{i:02d}-{j:02d}" for i, j in names], dtype=object),
        offsets=np.concatenate([[0], np.cumsum(length)]).astype(np.int64),
        t=np.concatenate([np.arange(n, dtype=np.float64) for n in length]),
        values=_columns(plan, values, length, status),
        status=status,
        # Objects, so that a whole number stays one where other runs lack the hyperparameter.
        config=pd.DataFrame(configs, dtype=object),
        arch=np.repeat(np.array([a["arch"] for a in architectures], dtype=object), sizes),
        group=np.array([f"{plan.spec.task}/{i:02d}-{plan.groups[i][j]:02d}" for i, j in names], dtype=object),
        time_unit="epoch",
    )
    seed = tuple(f"{plan.stacks[i].seed}.{j}" for i, j in names)
    meta = {**meta_features(make(plan.spec)), "stopping": plan.stopping, "target": target, "epochs": plan.epochs}
    return TaskResult(curves, seed, meta, tuple(architectures))


def _columns(plan: TaskPlan, values: Values, length: IntArray, status: npt.NDArray[Any]) -> dict[str, Any]:
    """Values of each metric that applies to the task, points of all runs one after another; a lost run ends in inf."""
    kind = "accuracy" if plan.spec.domain.endswith("classification") else "r2"
    names = {"val_score": f"val_{kind}", "test_score": f"test_{kind}"}
    kept = np.arange(values.shape[1]) < length[:, None]
    final = np.arange(values.shape[1]) == length[:, None] - 1
    lost = final & (status == "diverged")[:, None]
    columns = {}
    for k, name in enumerate(MEASURED):
        column = values[..., k].astype(np.float64)
        if name == "test_score":
            column = np.where(final, column, np.nan)
        if name in ("train_loss", "val_loss", "val_score"):
            column = np.where(lost, np.inf, column)
        columns[names.get(name, name)] = column[kept]
    return columns


def _oriented(values: Values, metric: str) -> FloatArray:
    """The primary metric so that higher is better, -inf where a run was lost; shape (runs, points)."""
    column = -values[..., 1] if metric == "val_loss" else values[..., 2]
    return np.where(np.isfinite(column), column, -np.inf).astype(np.float64)


def _out_of_patience(score: FloatArray, patience: Sequence[int | None]) -> IntArray:
    """Points of each run until it has gone its patience without a better value; shape (runs,)."""
    best = np.maximum.accumulate(score, 1)
    better = np.concatenate([np.ones((len(score), 1), bool), score[:, 1:] > best[:, :-1]], 1)
    point = np.arange(score.shape[1])
    since = point - np.maximum.accumulate(np.where(better, point, 0), 1)
    limit = np.array([np.inf if p is None else p for p in patience])
    waited = since >= limit[:, None]
    return np.where(waited.any(1), waited.argmax(1) + 1, score.shape[1])


def _at_target(score: FloatArray, metric: str) -> tuple[float, IntArray]:
    """A score that about four in ten runs reach, and points of each run until it does (at least five)."""
    aim = float(np.quantile(score.max(1), TARGET_QUANTILE))
    there = (score >= aim) & (np.arange(score.shape[1]) >= 4)
    stop = np.where(there.any(1), there.argmax(1) + 1, score.shape[1])
    return (-aim if metric == "val_loss" else aim), stop


def _config(stack: Stack, config: Mapping[str, Any]) -> dict[str, Any]:
    """All hyperparameters of a run: of its network (as far as they are single values) and of its training."""
    settings = {k: v for k, v in stack.settings.items() if not isinstance(v, (tuple, list))}
    if "widths" in stack.settings:
        widths = stack.settings["widths"]
        settings |= {"depth": len(widths), "width": max(widths)}
    return {"network": stack.network, **settings, "batch_size": stack.batch_size, "epochs": stack.epochs, **config}


def _architecture(stack: Stack, piece: Arrays) -> dict[str, Any]:
    graph = ArchGraph.from_json(str(piece["graph"]))
    spec = json.dumps({"network": stack.network, **stack.settings}, separators=(",", ":"))
    # Equal networks for data of equal shape are one architecture, whichever task trained them.
    shape = [graph.nodes[0], graph.nodes[-1]]
    digest = hashlib.sha256(json.dumps([spec, shape], sort_keys=True).encode()).hexdigest()[:12]
    features = {"n_params": graph.n_params, "macs": graph.macs, "nodes": len(graph.nodes)}
    return {
        "arch": f"{stack.network}-{digest}",
        "format": "metalcx-build",
        "spec": spec,
        "features": features,
        "graph": json.loads(graph.to_json()),
    }
