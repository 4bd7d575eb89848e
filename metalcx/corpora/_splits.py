"""Splits by family across corpora, and by group within a task; and the check that nothing leaks.

A family goes by its name and by its datasets: tasks that share either, in any corpus and under any task name,
are one family. Names are compared without case and punctuation, so that ``CIFAR-10`` is ``cifar10``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from metalcx.corpora._corpus import Corpus
from metalcx.corpora._task import Task
from metalcx.curves import Curves
from metalcx.errors import DataError, LeakError, name_some

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class FamilySplit:
    """Tasks to learn from, and tasks of families that these do not contain.

    Attributes:
        sources: Tasks to learn from.
        targets: Tasks held out.
        families: The families held out, sorted.
    """

    sources: tuple[Task, ...]
    targets: tuple[Task, ...]
    families: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GroupSplit:
    """Positions of runs in the curves that were split; no group is on both sides.

    Attributes:
        support: Shape (n_support,), in the order drawn.
        queries: Shape (m,), ascending.
    """

    support: IntArray
    queries: IntArray


def all_tasks(items: Iterable[Corpus | Task]) -> tuple[Task, ...]:
    """The tasks of corpora and single tasks, in order."""
    return tuple(task for item in items for task in (item if isinstance(item, Corpus) else (item,)))


def families(tasks: Sequence[Task]) -> tuple[str, ...]:
    """The family of each task, tasks that share a family name or a dataset having the same; shape (tasks,)."""
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        while parent.setdefault(key, key) != key:
            key = parent[key]
        return key

    for task in tasks:
        one, other = root(f"family:{_plain(task.family)}"), root(f"dataset:{_plain(task.dataset)}")
        parent[other] = one
    label: dict[str, str] = {}
    for task in tasks:
        label.setdefault(root(f"family:{_plain(task.family)}"), task.family)
    return tuple(label[root(f"family:{_plain(task.family)}")] for task in tasks)


def split_by_family(items: Iterable[Corpus | Task], holdout: str | Iterable[str]) -> FamilySplit:
    """Hold out whole families.

    Args:
        items: Corpora, or tasks.
        holdout: Names of datasets, families or tasks; each stands for its whole family, in every corpus.

    Raises:
        DataError: If a name is of no dataset, family or task.
    """
    tasks = all_tasks(items)
    family = families(tasks)
    names = [holdout] if isinstance(holdout, str) else list(holdout)
    held = {one for name in names for one in _families_named(name, tasks, family)}
    return _split(tasks, family, held)


def leave_one_family_out(items: Iterable[Corpus | Task]) -> Iterator[FamilySplit]:
    """One split for each family, in order of first occurrence."""
    tasks = all_tasks(items)
    family = families(tasks)
    return (_split(tasks, family, {one}) for one in dict.fromkeys(family))


def family_folds(items: Iterable[Corpus | Task], n: int, seed: int) -> list[FamilySplit]:
    """`n` splits in which each family is held out once; folds are alike in their number of tasks.

    Raises:
        DataError: If there are fewer than `n` families, or `n` is below 2.
    """
    tasks = all_tasks(items)
    family = families(tasks)
    names, counts = np.unique(np.array(family, dtype=str), return_counts=True)
    if not 2 <= n <= len(names):
        raise DataError(f"{n} folds of {len(names)} families; give from 2 to {len(names)} folds")
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(-counts[order], kind="stable")]
    folds: list[set[str]] = [set() for _ in range(n)]
    load = np.zeros(n, dtype=np.int64)
    for i in order:
        # The emptiest fold, and among equals the one with fewest families, so that none stays empty.
        k = min(range(n), key=lambda k: (load[k], len(folds[k])))
        folds[k].add(str(names[i]))
        load[k] += counts[i]
    return [_split(tasks, family, fold) for fold in folds]


def check_no_leak(sources: Iterable[Corpus | Task], target: Corpus | Task | Iterable[Corpus | Task]) -> None:
    """Refuse sources that contain a family of the target, under whatever names.

    Raises:
        LeakError: Names the family, and each source task (corpus/task, dataset) that leaks.
    """
    wanted = all_tasks([target] if isinstance(target, (Corpus, Task)) else target)
    known = all_tasks(sources)
    family = families((*wanted, *known))
    held = dict(zip(family, wanted, strict=False))
    leaks = [(task, one) for task, one in zip(known, family[len(wanted) :], strict=True) if one in held]
    if leaks:
        named = "; ".join(
            f"family {one!r} (target {_label(held[one])}): source {_label(task)}" for task, one in leaks[:5]
        )
        more = f"; and {len(leaks) - 5} more" if len(leaks) > 5 else ""
        raise LeakError(
            f"the sources contain the target's data: {named}{more}. Hold the whole family out of the sources"
        )


def split_groups(curves: Curves, n_support: int, rng: np.random.Generator, min_queries: int = 1) -> GroupSplit:
    """Draw support runs; the queries are all runs whose group no support run has.

    Args:
        curves: Runs of one task. Without groups, and where a group is None, each run is a group of its own.
        n_support: Support runs to draw, uniformly, without replacement; 0 is allowed.
        rng: Source of randomness.
        min_queries: Queries that must remain.

    Raises:
        DataError: If there are not enough runs, or too few queries remain.
    """
    n = len(curves)
    if not 0 <= n_support <= n:
        raise DataError(f"{n_support} support runs of {n}; ask for no more than there are")
    support = rng.permutation(n)[:n_support].astype(np.int64)
    code = group_codes(curves)
    queries = np.flatnonzero(~np.isin(code, code[support]))
    if len(queries) < min_queries:
        raise DataError(
            f"{len(queries)} queries share no group with the {n_support} support runs, {min_queries} are needed; "
            f"there are {len(np.unique(code))} groups among {n} runs: take less support, or split by run"
        )
    return GroupSplit(support, queries)


def check_no_shared_group(support: Curves, queries: Curves) -> None:
    """Refuse support and queries of a task that share a group.

    Raises:
        LeakError: Names the groups.
    """
    if support.group is None or queries.group is None:
        return
    shared = sorted({str(g) for g in support.group if g is not None} & {str(g) for g in queries.group if g is not None})
    if shared:
        raise LeakError(f"support and queries share the groups {name_some(shared)}; keep each group on one side")


def group_codes(curves: Curves) -> IntArray:
    """Runs of equal group have equal numbers, shape (n,); a run without a group has one of its own."""
    import pandas as pd

    n = len(curves)
    if curves.group is None:
        return np.arange(n, dtype=np.int64)
    code = pd.factorize(curves.group)[0].astype(np.int64)  # -1 where None
    return np.where(code < 0, n + np.arange(n), code)


def _split(tasks: tuple[Task, ...], family: tuple[str, ...], held: set[str]) -> FamilySplit:
    pairs = list(zip(tasks, family, strict=True))
    sources = tuple(task for task, one in pairs if one not in held)
    return FamilySplit(sources, tuple(task for task, one in pairs if one in held), tuple(sorted(held)))


def _families_named(name: str, tasks: tuple[Task, ...], family: tuple[str, ...]) -> set[str]:
    plain = _plain(name)
    found = {
        one
        for task, one in zip(tasks, family, strict=True)
        if plain
        in (_plain(task.dataset), _plain(task.family), _plain(task.name), _plain(f"{task.corpus.name}/{task.name}"))
    }
    if not found:
        raise DataError(
            f"hold-out {name!r} is no dataset, family or task here; "
            f"datasets are {name_some(sorted({t.dataset for t in tasks}), 8)}"
        )
    return found


def _label(task: Task) -> str:
    return f"{task.corpus.name}/{task.name} (dataset {task.dataset!r})"


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())
