"""Search spaces as encoders are judged on them: graphs, what each reached, and how they are split."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from metalcx.bench.encoder._proxies import FloatArray, IntArray, best_proxy, first_of, several_proxies
from metalcx.corpora import Corpus, Task, families
from metalcx.curves import Curves
from metalcx.encoders import GraphBatch, standard_ranks
from metalcx.errors import DataError, name_some
from metalcx.graphs import ArchGraph, from_cell_6edge, from_nasbench201

if TYPE_CHECKING:
    import pandas as pd

#: After the name of a corpus of cells: with all six operations, as they were published.
UNPRUNED = "-unpruned"

#: Corpora of the protocol, in the order in which they are judged.
CORPORA = ("nb201-finals", "nas-bench-macro", "nas-bench-graph", "spikenas-bench")
SPACES = (CORPORA[0], CORPORA[0] + UNPRUNED, *CORPORA[1:])

#: Formats of cells whose operations that do nothing can be kept.
WHOLE: dict[str, Callable[[str, bool], ArchGraph]] = {"nasbench201": from_nasbench201, "cell-6edge": from_cell_6edge}

#: More lengths than this are points of curves, of which the last counts; up to it each is a table of its own.
BUDGETS = 3

#: Training architectures with a label: of NAS-Bench-201 as published, elsewhere a hundredth.
LABELS = {"nb201-finals": 78}
VALIDATION = 40
LEAST = 20


@dataclass(frozen=True)
class Table:
    """What the architectures of a corpus reached on one dataset, after one budget.

    Attributes:
        name: ``task`` or ``task@t``.
        rows: Numbers of architectures in the space, shape (n,).
        values: Higher is better, finite, shape (n,).
        family: Of the dataset.
    """

    name: str
    rows: IntArray
    values: FloatArray
    family: str


@dataclass(frozen=True)
class Space:
    """The architectures of a corpus and all tables of what they reached.

    Attributes:
        name: The corpus, and whether its cells are unpruned.
        batch: Graphs, shape (m,).
        functional: The same without what does nothing, shape (m,).
        alike: The same number for graphs that differ in their numbering alone, shape (m,).
        same: The same of functional graphs, shape (m,).
        group: Which may not be on both sides of a split, as numbers, shape (m,).
        tables: What they reached.
        by_group: Whether `group` keeps together what is known to be alike.
        kept: Folder in which proxies that take long are kept, if any.
    """

    name: str
    batch: GraphBatch
    functional: GraphBatch
    alike: IntArray
    same: IntArray
    group: IntArray
    tables: tuple[Table, ...]
    by_group: bool
    kept: Path | None = None

    @property
    def split(self) -> str:
        """What stays together: ``group``, or every ``row`` by itself."""
        return "group" if self.by_group else "row"

    @cached_property
    def unique(self) -> IntArray:
        """The first of all graphs that are alike, shape (u,)."""
        return first_of(self.alike)[0]

    @cached_property
    def code(self) -> IntArray:
        """Of each architecture the place in `unique` of what is alike, shape (m,)."""
        return first_of(self.alike)[1]

    @cached_property
    def proxy(self) -> tuple[str | None, FloatArray]:
        """Name and values of the best zero-cost proxy there is, shape (m,)."""
        return best_proxy(self.functional, self.same)

    @cached_property
    def proxies(self) -> tuple[tuple[str, ...], FloatArray]:
        """Names and values of several zero-cost proxies, shape (m, p)."""
        path = self.kept / f"{self.name.removesuffix(UNPRUNED)}.json" if self.kept is not None else None
        return several_proxies(self.functional, self.same, path)

    @cached_property
    def beside(self) -> npt.NDArray[np.float32]:
        """These, as what stands beside an embedding, shape (m, p)."""
        return standard_ranks(self.proxies[1][self.unique])[self.code]


class Split(NamedTuple):
    """Places in a table, disjoint: with a label, for validation, and all others."""

    train: IntArray
    valid: IntArray
    test: IntArray


def read_space(folder: Path, *, by_group: bool = True, kept: Path | None = None) -> Space:
    """The space of a corpus folder.

    Args:
        folder: The corpus; with `UNPRUNED` behind it, its cells as they were published.
        by_group: Whether runs of one group, such as isomorphic cells, and architectures with one and the same
            functional graph stay together in a split; otherwise each architecture is a group of its own.
        kept: Folder of proxies that take long.

    Raises:
        DataError: If no architecture has a graph, or cells of such a format cannot be had unpruned.
    """
    corpus = Corpus.open(folder_of(folder))
    known = corpus.architectures.dropna(subset=["graph"])
    if not len(known):
        raise DataError(f"{folder}: no architecture has a graph; give a corpus that has some")
    functional = [ArchGraph.from_json(text) for text in known["graph"]]
    shown = functional if folder.name == folder_of(folder).name else _whole(known, folder)
    row = {arch: i for i, arch in enumerate(known["arch"])}
    same = _codes(functional)
    group = same if by_group else np.arange(len(functional))
    tables = []
    for task, family in zip(corpus, families(tuple(corpus)), strict=True):
        curves = task.curves()
        rows = np.array([row.get(arch, -1) for arch in np.asarray(curves.arch, dtype=object)], dtype=np.int64)
        if by_group:
            group = _together(group, rows, curves)
        tables += list(_tables(task, family, curves, rows))
    batch = GraphBatch.from_graphs(shown)
    # Once here, and known to every batch that is taken from this one.
    for name in ("words", "features", "generation"):
        getattr(batch, name)
    pruned = batch if shown is functional else GraphBatch.from_graphs(functional)
    alike = same if shown is functional else _codes(shown)
    return Space(folder.name, batch, pruned, alike, same, group, tuple(tables), by_group, kept)


def folder_of(folder: Path) -> Path:
    """The corpus that a space is made of."""
    return folder.with_name(folder.name.removesuffix(UNPRUNED))


def _whole(known: pd.DataFrame, folder: Path) -> list[ArchGraph]:
    """Cells with all their operations, from the texts that state them."""
    other = sorted(set(known["format"][~known["format"].isin(WHOLE) | known["spec"].isna()]))
    if other:
        raise DataError(
            f"{folder}: only cells whose text is known, of {name_some(sorted(WHOLE))}, can be had unpruned, "
            f"not {name_some(other)}"
        )
    return [WHOLE[form](text, False) for form, text in zip(known["format"], known["spec"], strict=True)]


def _codes(graphs: Sequence[ArchGraph]) -> IntArray:
    """The same number for graphs that differ in their numbering alone."""
    return np.asarray(np.unique([graph.hash for graph in graphs], return_inverse=True)[1], dtype=np.int64)


def split(space: Space, table: Table, permutation: int, labels: int | None = None) -> Split:
    """Groups at random: one architecture of each of the first has a label, one of each of the next validates.

    Nobody trains one network twice, so what else is in those groups is in no part. By default labels and validation
    are the protocol's.

    Raises:
        DataError: If the table is too small.
    """
    order, place = in_order(space, table, permutation)
    labels = labels or LABELS.get(space.name.removesuffix(UNPRUNED), max(LEAST, round(len(order) / 100)))
    first = np.flatnonzero(np.diff(place, prepend=-1))
    known = labels + VALIDATION
    if len(first) <= known or len(order) - first[known] < LEAST:
        raise DataError(f"{space.name}: {table.name} has {len(first)} groups, too few for {labels} labels and a test")
    chosen = order[first[:known]]
    return Split(chosen[:labels], chosen[labels:], order[first[known] :])


def in_order(space: Space, table: Table, permutation: int) -> tuple[IntArray, IntArray]:
    """Places in a table in the order of their groups, shape (n,), and the numbers of those in this permutation.

    The same order of groups for every table, so that one half of the space holds what all of them learn from; within a
    group the architectures stand by chance.
    """
    random = np.random.default_rng([permutation, 17])
    place = random.permutation(int(space.group.max()) + 1)[space.group[table.rows]]
    chance = random.permutation(len(space.group))[table.rows]
    order: IntArray = np.lexsort((chance, place))
    return order, place[order]


def _tables(task: Task, family: str, curves: Curves, rows: IntArray) -> Iterator[Table]:
    """One for each budget, or one of the last values."""
    sign = 1.0 if task.metric.goal == "max" else -1.0
    values, run = sign * curves.values[task.metric.name], np.repeat(np.arange(len(curves)), np.diff(curves.offsets))
    budgets = np.unique(curves.t)
    if len(budgets) > BUDGETS:
        found: dict[str, IntArray] = {task.name: curves.offsets[1:] - 1}
    elif len(budgets) > 1:
        found = {f"{task.name}@{t:g}": np.flatnonzero(curves.t == t) for t in budgets}
    else:
        found = {task.name: np.arange(len(run))}
    for name, points in found.items():
        own = points[np.isfinite(values[points]) & (rows[run[points]] >= 0)]
        yield Table(name, rows[run[own]], values[own], family)


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
