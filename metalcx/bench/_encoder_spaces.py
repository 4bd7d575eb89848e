"""Search spaces as encoders are judged on them: graphs, what each reached, and how they are split."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from metalcx.corpora import Corpus, Task
from metalcx.curves import Curves
from metalcx.encoders import GraphBatch
from metalcx.errors import DataError
from metalcx.graphs import ArchGraph

#: Corpora of the protocol.
SPACES = ("nb201-finals", "nas-bench-macro", "nas-bench-graph", "spikenas-bench")

#: More lengths than this are points of curves, of which the last counts; up to it each is a table of its own.
BUDGETS = 3

#: Training architectures with a label: of NAS-Bench-201 as published, elsewhere a hundredth.
LABELS = {"nb201-finals": 78}
VALIDATION = 40
LEAST = 20

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Table:
    """What the architectures of a corpus reached on one dataset, after one budget.

    Attributes:
        name: ``task`` or ``task@t``.
        rows: Numbers of architectures in the space, shape (n,).
        values: Higher is better, finite, shape (n,).
    """

    name: str
    rows: IntArray
    values: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Space:
    """The architectures of a corpus and all tables of what they reached.

    Attributes:
        name: The corpus.
        batch: Graphs, shape (m,).
        alike: The same number for graphs that differ in their numbering alone, shape (m,).
        group: Which may not be on both sides of a split, as numbers, shape (m,).
        tables: What they reached.
    """

    name: str
    batch: GraphBatch
    alike: IntArray
    group: IntArray
    tables: tuple[Table, ...]


class Split(NamedTuple):
    """Places in a table, disjoint: with a label, for validation, and all others."""

    train: IntArray
    valid: IntArray
    test: IntArray


def read_space(folder: Path, *, by_group: bool = True) -> Space:
    """The space of a corpus folder.

    Args:
        folder: The corpus.
        by_group: Whether runs of one group, such as isomorphic cells, and architectures with one and the same graph
            stay together in a split; otherwise each architecture is a group of its own.

    Raises:
        DataError: If no architecture has a graph.
    """
    corpus = Corpus.open(folder)
    known = corpus.architectures.dropna(subset=["graph"])
    if not len(known):
        raise DataError(f"{folder}: no architecture has a graph; give a corpus that has some")
    graphs = [ArchGraph.from_json(text) for text in known["graph"]]
    row = {arch: i for i, arch in enumerate(known["arch"])}
    alike: IntArray = np.unique([graph.hash for graph in graphs], return_inverse=True)[1]
    group = alike if by_group else np.arange(len(graphs))
    tables = []
    for task in corpus:
        curves = task.curves()
        rows = np.array([row.get(arch, -1) for arch in np.asarray(curves.arch, dtype=object)], dtype=np.int64)
        if by_group:
            group = _together(group, rows, curves)
        tables += list(_tables(task, curves, rows))
    return Space(corpus.name, GraphBatch.from_graphs(graphs), alike, group, tuple(tables))


def split(space: Space, table: Table, permutation: int, labels: int | None = None) -> Split:
    """Whole groups at random: as many as have `labels` architectures, then as many as validate, then the rest.

    What is left of the last group of each part is in none. By default labels and validation are the protocol's.

    Raises:
        DataError: If the table is too small.
    """
    n = len(table.rows)
    labels = labels or LABELS.get(space.name, max(LEAST, round(n / 100)))
    # The same order of groups for every table, so that one half of the space holds what all of them learn from.
    place = np.random.default_rng([permutation, 17]).permutation(int(space.group.max()) + 1)[space.group[table.rows]]
    order: IntArray = np.argsort(place, kind="stable")
    ends = np.flatnonzero(np.diff(place[order], append=-1)) + 1
    first = _end(ends, labels)
    second = _end(ends, first + VALIDATION)
    if n - second < LEAST:
        raise DataError(f"{space.name}: {table.name} has {n} architectures, too few for {labels} labels and a test")
    return Split(order[:labels], order[first : first + VALIDATION], order[second:])


def _end(ends: IntArray, least: int) -> int:
    """The first end of a group that is at least so far."""
    return int(next((end for end in ends if end >= least), ends[-1]))


def _tables(task: Task, curves: Curves, rows: IntArray) -> Iterator[Table]:
    """One for each budget, or one of the last values."""
    sign = 1.0 if task.metric.goal == "max" else -1.0
    values, run = sign * curves.values[task.metric.name], np.repeat(np.arange(len(curves)), np.diff(curves.offsets))
    budgets = np.unique(curves.t)
    found: dict[str, IntArray]
    if len(budgets) > BUDGETS:
        found = {task.name: curves.offsets[1:] - 1}
    elif len(budgets) > 1:
        found = {f"{task.name}@{t:g}": np.flatnonzero(curves.t == t) for t in budgets}
    else:
        found = {task.name: np.arange(len(run))}
    for name, points in found.items():
        usable = points[np.isfinite(values[points]) & (rows[run[points]] >= 0)]
        yield Table(name, rows[run[usable]], values[usable])


def _together(group: IntArray, rows: IntArray, curves: Curves) -> IntArray:
    """Groups of architectures joined where their runs share one."""
    if curves.group is None:
        return group
    codes: IntArray = np.unique(np.asarray(curves.group, dtype=str), return_inverse=True)[1]
    own = np.arange(len(group)) + len(codes)
    own[rows[rows >= 0]] = codes[rows >= 0]
    return _joined(group, own)


def _joined(a: IntArray, b: IntArray) -> IntArray:
    """The finest groups that neither `a` nor `b` cuts through."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    n = len(a)
    a, b = (np.unique(codes, return_inverse=True)[1] for codes in (a, b))
    links = coo_matrix((np.ones(n), (a, n + b)), shape=(2 * n, 2 * n))
    return np.asarray(connected_components(links, directed=False)[1][a], dtype=np.int64)
