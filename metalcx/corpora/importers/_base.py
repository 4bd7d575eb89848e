"""What every importer gives, and how it becomes a corpus folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from metalcx.corpora._writer import CorpusWriter
from metalcx.curves import Curves, Metric
from metalcx.errors import DataError


@dataclass
class Tally:
    """What an import passes over, and why; importers add to it while they read."""

    skipped: dict[str, list[str]] = field(default_factory=dict)

    def skip(self, what: object, why: str) -> None:
        """Note that `what` was left out; `why` is the same text for all that are left out for the same reason."""
        self.skipped.setdefault(why, []).append(str(what))


@dataclass(frozen=True)
class ImportOptions:
    """What the source may not say of itself.

    Args:
        metric: The primary metric; required by importers of people's own logs, which do not guess it from a name.
        metrics: Further metrics to keep, where the source has them.
        task: Name of the task, for sources of one task.
        dataset: What the networks were trained on.
        family: Datasets that share examples; by default `dataset`.
        name: Name of the corpus; by default that of the published corpus, or of the folder written.
        licence: Licence of the data.
        citation: What to cite.
        redistributable: Whether what is learned from it may ship.
        time: Column or kind of t where the source has several, such as ``epoch`` or ``step``.
        horizon: t at which a run counts as completed; by default the largest t of its task.
    """

    metric: Metric | None = None
    metrics: tuple[Metric, ...] = ()
    task: str | None = None
    dataset: str | None = None
    family: str | None = None
    name: str | None = None
    licence: str | None = None
    citation: str | None = None
    redistributable: bool = False
    time: str | None = None
    horizon: float | None = None

    def required_metric(self, format: str) -> Metric:
        """The metric.

        Raises:
            DataError: If there is none.
        """
        if self.metric is None:
            raise DataError(f"{format}: the metric is declared, never guessed; give --metric name:goal[:lower[:upper]]")
        return self.metric


@dataclass(frozen=True)
class ImportedTask:
    """One task: its row of `tasks.parquet`, and finished runs (completed, diverged or censored)."""

    task: str
    dataset: str
    family: str
    domain: str
    curves: Curves
    seed: Sequence[object] | None = None
    meta: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Imported:
    """A whole source. `tasks` and `architectures` may be read lazily, the tasks first.

    An architecture is the keyword arguments of `CorpusWriter.add_architecture`, ``arch`` among them.
    """

    name: str
    time_unit: str
    metrics: tuple[Metric, ...]
    licence: str
    citation: str
    redistributable: bool
    tasks: Iterable[ImportedTask]
    architectures: Iterable[Mapping[str, Any]] = ()
    seconds: bool = False
    card: str | None = None


#: Reads a source of one format.
Importer = Callable[[Path, ImportOptions, Tally], Imported]


@dataclass(frozen=True)
class ImportReport:
    """What was read and what was not.

    Attributes:
        path: The corpus that was written.
        tasks: Tasks.
        runs: Runs.
        points: Points of all runs.
        shortest: Points of the shortest run.
        median: Median points a run.
        longest: Points of the longest run.
        skipped: Reason -> what was left out for it.
    """

    path: Path
    tasks: int
    runs: int
    points: int
    shortest: int
    median: float
    longest: int
    skipped: Mapping[str, Sequence[str]]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        known = {key: getattr(self, key) for key in ("tasks", "runs", "points", "shortest", "median", "longest")}
        return {"path": str(self.path), **known, "skipped": {why: list(what) for why, what in self.skipped.items()}}


def write_imported(read: Importer, src: Path, dst: Path, options: ImportOptions) -> ImportReport:
    """Read `src` and write the corpus `dst`; nothing is written unless all of it could be read.

    Raises:
        DataError: If `src` is not of the format, or holds no run.
        CorpusError: If `dst` is something else than a corpus or cannot be written.
    """
    tally = Tally()
    source = read(src, options, tally)
    lengths: list[int] = []
    tasks = 0
    with CorpusWriter(
        dst,
        name=options.name or source.name,
        time_unit=source.time_unit,
        metrics=source.metrics,
        licence=options.licence or source.licence,
        citation=options.citation or source.citation,
        redistributable=options.redistributable or source.redistributable,
        seconds=source.seconds,
        card=source.card,
        checksums=True,
    ) as writer:
        for task in _with_runs(source.tasks, tally):
            writer.add_task(
                task.task,
                dataset=task.dataset,
                family=task.family,
                domain=task.domain,
                metric=task.curves.metric.name,
                **task.meta,
            )
            writer.add_runs(task.task, task.curves, task.seed)
            lengths += task.curves.length.tolist()
            tasks += 1
        if not tasks:
            raise DataError(f"{src}: no run was found{_reasons(tally)}; check that this is the folder, and the format")
        for architecture in source.architectures:
            writer.add_architecture(**architecture)
    count = np.asarray(lengths)
    return ImportReport(
        dst,
        tasks,
        len(count),
        int(count.sum()),
        int(count.min()),
        float(np.median(count)),
        int(count.max()),
        tally.skipped,
    )


def _with_runs(tasks: Iterable[ImportedTask], tally: Tally) -> Iterator[ImportedTask]:
    for task in tasks:
        if len(task.curves):
            yield task
        else:
            tally.skip(task.task, "a task without runs")


def _reasons(tally: Tally) -> str:
    return "".join(f"; {len(what)} left out: {why}" for why, what in tally.skipped.items())
