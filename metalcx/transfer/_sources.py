"""Finals of source tasks, comparable across tasks: ranks as quantiles of a standard normal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from metalcx.curves._batch import FloatArray, IntArray
from metalcx.errors import DataError
from metalcx.graphs import ArchGraph
from metalcx.transfer._candidates import Candidates, joined

if TYPE_CHECKING:
    from metalcx.corpora import Task

#: Runs that a task needs to say anything of candidates.
MIN_RUNS = 20


@dataclass(frozen=True, eq=False)
class Source:
    """What candidates reached on one task.

    Attributes:
        name: The task, and its corpus before a slash.
        family: Datasets that share examples.
        rows: Candidates, each once, shape (n,).
        score: Normal scores of their finals, higher is better, shape (n,).
    """

    name: str
    family: str
    rows: IntArray
    score: FloatArray


@dataclass(frozen=True, eq=False)
class Sources:
    """Source tasks over one set of candidates.

    Attributes:
        candidates: All of them.
        tasks: What they reached.
    """

    candidates: Candidates
    tasks: tuple[Source, ...]

    def without(self, family: str | None) -> tuple[Source, ...]:
        """The tasks of other families."""
        return tuple(task for task in self.tasks if task.family != family)

    @property
    def families(self) -> tuple[str, ...]:
        """All families, sorted."""
        return tuple(sorted({task.family for task in self.tasks}))


def normal_scores(values: npt.ArrayLike) -> FloatArray:
    """Ranks as quantiles of a standard normal, so that only the order counts; ties share theirs."""
    from scipy.special import ndtri
    from scipy.stats import rankdata

    values = np.asarray(values, dtype=np.float64)
    return np.asarray(ndtri((rankdata(values) - 0.5) / max(len(values), 1)), dtype=np.float64)


def sources_of(tasks: Sequence[Task], min_runs: int = MIN_RUNS) -> Sources:
    """Read the finals of tasks; a task of fewer usable runs than `min_runs` says nothing.

    A run that diverged counts as worst, one that never was measured not at all. Runs of one candidate on one task are
    averaged.

    Raises:
        DataError: If no task is left.
    """
    from metalcx.corpora import families

    parts, kept = [], []
    graphs: dict[str, dict[str, ArchGraph | None]] = {}
    for task, family in zip(tasks, families(tuple(tasks)), strict=True):
        known = graphs.setdefault(str(task.corpus.path), {})
        candidates, values = finals_of(task, known)
        if len(values) >= min_runs:
            parts.append(candidates)
            kept.append((f"{task.corpus.name}/{task.name}", family, normal_scores(values)))
    if not parts:
        raise DataError(f"no task has {min_runs} runs with a final and an architecture or hyperparameters; give others")
    whole, rows = joined(parts)
    found = [Source(n, f, *_averaged(r, z)) for (n, f, z), r in zip(kept, rows, strict=True)]
    return Sources(whole, tuple(found))


def finals_of(task: Task, known: dict[str, ArchGraph | None] | None = None) -> tuple[Candidates, FloatArray]:
    """Candidates of a task and what they reached, higher is better, shape (n,).

    Args:
        task: The task.
        known: Graphs that were read before, by architecture; those of this task are added.
    """
    known = {} if known is None else known
    curves = task.curves()
    values = curves.metric.sign * curves.final
    usable = np.flatnonzero(~np.isnan(values))
    names: list[str | None] = [None] * len(curves) if curves.arch is None else list(curves.arch)
    _read_graphs(task, {name for name in names if name is not None}, known)
    chosen = [None if (name := names[i]) is None else known.get(name) for i in usable]
    config = None if curves.config is None else curves.config.iloc[usable]
    return Candidates.of(chosen, config), values[usable]


def _read_graphs(task: Task, names: Iterable[str], known: dict[str, ArchGraph | None]) -> None:
    missing = set(names) - known.keys()
    if missing:
        table = task.corpus.architectures
        for name, text in table.loc[table["arch"].isin(missing), ["arch", "graph"]].itertuples(index=False):
            known[name] = ArchGraph.from_json(text) if isinstance(text, str) else None


def _averaged(rows: IntArray, score: FloatArray) -> tuple[IntArray, FloatArray]:
    unique, code = np.unique(rows, return_inverse=True)
    return unique, np.bincount(code, score) / np.bincount(code)
