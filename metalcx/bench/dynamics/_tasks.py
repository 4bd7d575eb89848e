"""What the benchmark of dynamics is about: one dataset at a time, its runs on one grid, its architectures as graphs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from metalcx.corpora import Corpus, Task, open_corpus
from metalcx.corpora._splits import group_codes
from metalcx.curves import Curves, Metric
from metalcx.curves._batch import FloatArray, IntArray
from metalcx.encoders import GraphBatch
from metalcx.errors import DataError, name_some
from metalcx.graphs import ArchGraph, parse

#: Corpora of which something is asked for by default.
OURS, SPIKES = "smallnets", "spikenas-bench"

#: Kinds of networks that `OURS` is divided into, by the networks of its recipe, and tasks of each by default.
NETWORKS = {"mlp": ("mlp",), "cnn": ("cnn", "cell-cnn")}
PER_NETWORK = 2

#: Runs of a task at most; more are drawn from once, with seed 0.
MAX_RUNS = 600

#: Runs and architectures below which a task is not split three ways.
MIN_RUNS, MIN_ARCHITECTURES = 12, 6


@dataclass(frozen=True, eq=False)
class DynamicsTask:
    """Runs of one dataset, all complete and measured at the same T times.

    Attributes:
        name: ``corpus/task``, or ``corpus/task@network``.
        corpus: Name of the corpus.
        family: What the dataset shares examples with.
        curves: n runs of the metric that is forecast, architectures as the JSON of their graphs.
        y: Values, shape (n, T).
        graphs: Distinct graphs.
        arch: The graph of each run, shape (n,).
        group: Runs that stay on one side of a split, shape (n,): of one graph, by whatever numbering, or one group.
    """

    name: str
    corpus: str
    family: str
    curves: Curves
    y: FloatArray
    graphs: GraphBatch
    arch: IntArray
    group: IntArray

    @property
    def t(self) -> FloatArray:
        """Times of all runs, shape (T,)."""
        return self.curves.t[: self.y.shape[1]]

    @property
    def metric(self) -> Metric:
        """What is forecast."""
        return self.curves.metric


def default_names(data: Path) -> tuple[str, ...]:
    """Tasks by default: of `OURS` by the rule of `most_architectures`, and all of `SPIKES` where `data` holds it."""
    ours = _corpus(data, OURS)
    names = [f"{OURS}/{task}@{kind}" for kind in NETWORKS for task in most_architectures(ours, kind)]
    if (data / SPIKES).is_dir():
        names += [f"{SPIKES}/{task}" for task in Corpus.open(data / SPIKES).tasks["task"]]
    return tuple(names)


def most_architectures(corpus: Corpus, kind: str, n: int = PER_NETWORK) -> list[str]:
    """The `n` tasks with most architectures of a kind among runs that were completed at their task's full length.

    Among equals the one with more runs, then with longer curves, then the first by name; one task a family.
    """
    tasks, runs = corpus.tasks, corpus.runs
    full = runs.groupby("task").n_points.transform("max")
    usable = runs[(runs.status == "completed") & (runs.n_points == full) & runs.arch.isin(_of_kind(corpus, kind))]
    by = usable.groupby("task")
    found = pd.DataFrame({"archs": by.arch.nunique(), "runs": by.size(), "points": by.n_points.max()}).reset_index()
    found = found.merge(tasks[["task", "family"]], on="task")
    found = found.sort_values(["archs", "runs", "points", "task"], ascending=[False, False, False, True])
    return list(found.drop_duplicates("family").task[:n])


def read_task(data: Path, name: str, metric: str) -> DynamicsTask:
    """One task by its name.

    Args:
        data: Folder of the corpora; what ships with metalcx is found without it.
        name: ``corpus/task``, or ``corpus/task@kind`` for one of `NETWORKS`.
        metric: What to forecast; the task's own metric where the corpus does not have it.

    Raises:
        DataError: If there is no such task, or it has too few runs.
    """
    where, _, kind = name.partition("@")
    folder, _, wanted = where.partition("/")
    if kind and kind not in NETWORKS:
        raise DataError(f"{name}: no kind of networks {kind!r}; there is {name_some(NETWORKS)}")
    corpus = _corpus(data, folder)
    task = next((task for task in corpus if task.name == wanted), None)
    if task is None:
        raise DataError(f"{name}: {folder} has no task {wanted!r}; it has {name_some(corpus.tasks['task'])}")
    curves = _graphs_of(task, _measured(task, metric))
    if kind:
        archs = np.asarray(task.runs["arch"])
        curves = curves.take(np.isin(archs, list(_of_kind(corpus, kind))))
    return as_task(_on_one_grid(curves), name, corpus.name, task.family)


def as_task(curves: Curves, name: str, corpus: str, family: str) -> DynamicsTask:
    """A task of complete runs that share their times.

    Raises:
        DataError: If there are too few runs or architectures.
    """
    if len(curves) > MAX_RUNS:
        curves = curves.take(np.sort(np.random.default_rng(0).permutation(len(curves))[:MAX_RUNS]))
    graphs, arch, group = _graphs(curves)
    if len(curves) < MIN_RUNS or len(np.unique(group)) < MIN_ARCHITECTURES:
        raise DataError(
            f"{name}: has {len(curves)} complete runs of {len(np.unique(group))} architectures at the same times; at "
            f"least {MIN_RUNS} of {MIN_ARCHITECTURES} are needed"
        )
    y = curves.y.reshape(len(curves), -1)
    return DynamicsTask(name, corpus, family, curves, y, GraphBatch.from_graphs(graphs), arch, group)


def _corpus(data: Path, name: str) -> Corpus:
    return Corpus.open(data / name) if (data / name).is_dir() else open_corpus(name)


def _of_kind(corpus: Corpus, kind: str) -> set[str]:
    """Architectures whose specification names a network of a kind."""
    known = corpus.architectures.dropna(subset=["spec"])
    networks = [json.loads(text).get("network") if text.startswith("{") else None for text in known["spec"]]
    return {arch for arch, network in zip(known["arch"], networks, strict=True) if network in NETWORKS[kind]}


def _measured(task: Task, metric: str) -> Curves:
    """All runs, of the metric asked for or else the task's own."""
    declared = {m.name: m for m in task.corpus.metrics}
    if metric not in declared:
        return task.curves()
    return replace(task.curves([metric]), metric=declared[metric])


def _graphs_of(task: Task, curves: Curves) -> Curves:
    known = task.corpus.architectures.dropna(subset=["graph"])
    graphs = dict(zip(known["arch"], known["graph"], strict=True))
    archs: Sequence[str | None] = [None] * len(curves) if curves.arch is None else list(curves.arch)
    return replace(curves, arch=np.array([graphs.get(arch) for arch in archs], dtype=object))


def _on_one_grid(curves: Curves) -> Curves:
    """Complete runs that were measured at all of the times that most of them share, of a graph that is known.

    A graph without an edge, whose output does not depend on its input, has nothing to learn and is left out.
    """
    finite = np.bincount(curves.owner[np.isfinite(curves.y)], minlength=len(curves)) == curves.length
    assert curves.arch is not None
    edges = {text: bool(json.loads(text)["edges"]) for text in {*curves.arch} - {None}}
    known = np.array([edges.get(arch, False) for arch in curves.arch], dtype=bool)
    kept = curves.take((curves.status == "completed") & finite & known & (curves.length > 0))
    if not len(kept):
        return kept
    grids = np.array([hash(part.tobytes()) for part in np.split(kept.t, kept.offsets[1:-1])])
    values, counts = np.unique(grids, return_counts=True)
    return kept.take(grids == values[np.argmax(counts)])


def _graphs(curves: Curves) -> tuple[list[ArchGraph], IntArray, IntArray]:
    """Distinct graphs as they are written, which each run has, and its group."""
    assert curves.arch is not None
    texts, arch = np.unique(curves.arch.astype(str), return_inverse=True)
    graphs = [parse(text, "graph") for text in texts]
    _, same = np.unique([graph.hash for graph in graphs], return_inverse=True)
    own = group_codes(curves)
    _, own = np.unique(own, return_inverse=True)
    # A group is what hangs together through graphs and groups.
    n, m = int(own.max(initial=-1)) + 1, len(graphs)
    links = coo_matrix((np.ones(len(own)), (own, n + same[arch])), shape=(n + m, n + m))
    _, component = connected_components(links, directed=False)
    return graphs, arch.astype(np.int64), component[own].astype(np.int64)
