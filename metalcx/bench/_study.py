"""What the transfer benchmark is about: its corpora, its tasks, and the pieces of work it falls into."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from metalcx.corpora import Corpus, all_tasks, open_corpus
from metalcx.transfer._tasks import PreparedTask, prepared

Progress = Callable[[int, int, str], None]

#: Corpora whose tasks are the targets, in the order that numbers them.
TARGETS = ("lemur", "spikenas-bench", "taskset-rnn", "baker2018", "nmtlc", "nas-bench-nlp-wt2", "algoperf")

#: Further sources. The tasks of the first are targets of a table of their own; the second ships with metalcx.
EXTRA_TARGETS, OURS = "lcdb11", "smallnets"
EXTRA_SOURCES = (EXTRA_TARGETS, OURS)

#: How parts of the stopping benchmark begin: it may share the folder of the transfer benchmark, and its models.
STOPPING_PART = "stopping-"

#: Runs that a task needs to be drawn from at all.
MIN_RUNS = 8


@dataclass(frozen=True)
class Unit:
    """One piece of work, written to one file: a forecaster, a seed, and the tasks of a fold's families."""

    forecaster: str
    seed: int
    fold: int
    families: tuple[str, ...]

    @property
    def file(self) -> str:
        """Name of its part."""
        return f"{self.forecaster}-seed{self.seed}-fold{self.fold:02d}.csv"


@dataclass(frozen=True)
class Study:
    """Everything that a unit needs, the same in all processes."""

    data: Path
    out: Path
    extra: bool
    folds: int | None

    def tasks(self) -> list[PreparedTask]:
        """All tasks, the targets first, those of extra sources after them."""
        names = (*TARGETS, EXTRA_TARGETS)
        corpora = [Corpus.open(self.data / name) for name in names if (self.data / name).is_dir()]
        ours = self.data / OURS
        corpora.append(Corpus.open(ours) if ours.is_dir() else open_corpus(OURS))
        return prepared(all_tasks(corpora), MIN_RUNS)

    def is_target(self, task: PreparedTask) -> bool:
        """Whether the table is about it."""
        return task.corpus == EXTRA_TARGETS if self.extra else task.corpus not in EXTRA_SOURCES
