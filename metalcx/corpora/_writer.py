"""Write a corpus, run by run, into a folder that takes its place only when it is whole and valid."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from metalcx._swap import readable, replacing
from metalcx.corpora._checksums import CHECKSUMS, write_checksums
from metalcx.corpora._format import (
    ARCHITECTURES,
    CURVES,
    FILES,
    MANIFEST,
    RUNS,
    SECONDS,
    TASK_COLUMNS,
    TASKS,
    Manifest,
)
from metalcx.corpora._parts import TableWriter, config_texts, json_text
from metalcx.corpora._refuse import refuse_unless_corpus, refuse_unless_fitting
from metalcx.corpora._schemas import points_schema, runs_schema, texts
from metalcx.corpora._validate import validate
from metalcx.curves import Curves, Metric
from metalcx.errors import CorpusError, name_some

ROW_GROUP_POINTS = 1 << 18
# Tasks smaller than this share a row group: each group costs a footer entry and a compression context a column.
_SMALL_TASK = 1 << 13
_CARD = "SOURCE.md"


class CorpusWriter:
    """Write a corpus of the format, version 1, in bounded memory.

    Use it as a context manager. Everything goes to a temporary folder beside `path`; leaving the block checks it
    against every rule of the format and then puts it in the place of `path`. If the block raises, the disk fills up or
    the process is killed, the corpus that was there stays readable.

    Row groups hold whole tasks where runs of a task are added together, so that reading one task is cheap.

    Args:
        path: The folder. If it is there it must be a corpus (or empty); files in it that are not of the format, such
            as `SOURCE.md`, are kept.
        name: Name of the corpus.
        time_unit: What t counts, such as ``epoch``.
        metrics: All metrics that any task measures.
        licence: Licence of the data.
        citation: What to cite.
        redistributable: False if nothing learned from the corpus may ship.
        seconds: Whether curves carry ``seconds``, the time since the run's start.
        card: Text of `SOURCE.md`: where the numbers come from and what is wrong with them.
        checksums: Whether to write `CHECKSUMS`, the sha256 of each file.
        extra: Further keys of `corpus.json`.
        row_group_points: Points a row group holds at most.

    Raises:
        CorpusError: If `path` is something else than a corpus, what is added does not fit, or writing fails.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        name: str,
        time_unit: str,
        metrics: Sequence[Metric],
        licence: str,
        citation: str,
        redistributable: bool,
        seconds: bool = False,
        card: str | None = None,
        checksums: bool = False,
        extra: Mapping[str, Any] | None = None,
        row_group_points: int = ROW_GROUP_POINTS,
    ) -> None:
        self.path = Path(path)
        self._manifest = Manifest(
            name, time_unit, tuple(metrics), licence, citation, redistributable, extra=extra or {}
        )
        self._value_names = [m.name for m in self._manifest.metrics] + [SECONDS] * seconds
        self._card, self._checksums, self._group = card, checksums, row_group_points
        self._tasks: dict[str, dict[str, Any]] = {}
        self._stack = contextlib.ExitStack()
        self._last_task: str | None = None

    def __enter__(self) -> Self:
        refuse_unless_corpus(self.path)
        with self._failing(), contextlib.ExitStack() as stack:
            self._fresh = stack.enter_context(replacing(self.path))
            self._runs = stack.enter_context(TableWriter(self._fresh / RUNS, runs_schema(), 1 << 16))
            self._points = stack.enter_context(
                TableWriter(self._fresh / CURVES, points_schema(self._value_names), self._group)
            )
            archs = TableWriter(
                self._fresh / ARCHITECTURES, texts("arch", "format", "spec", "features", "graph"), 1 << 14
            )
            self._archs = stack.enter_context(archs)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._failing():
            if error is None:
                with contextlib.ExitStack() as stack:
                    stack.push(self._stack)  # an error in here reaches `replacing`, which then does not swap
                    self._finish()
            else:
                self._stack.__exit__(kind, error, trace)

    def add_task(self, task: str, *, dataset: str, family: str, domain: str, metric: str, **meta: object) -> None:
        """Declare a task; `meta` are its meta-features, such as ``n_train=50000``."""
        if task in self._tasks:
            raise CorpusError(f"{self.path}: task {task!r} was added already; name each task once")
        if metric not in (m.name for m in self._manifest.metrics):
            raise CorpusError(f"{self.path}: task {task!r}: metric {metric!r} is not declared; give it to the writer")
        known = {"task": task, "dataset": dataset, "family": family, "domain": domain, "metric": metric}
        clash = set(meta) & set(known)
        bad = [key for key, value in known.items() if not isinstance(value, str) or not value]
        if bad or clash:
            raise CorpusError(
                f"{self.path}: task {task!r}: {name_some(bad or clash)} must be one text that is not empty"
            )
        self._tasks[task] = {**known, **meta}

    def add_architecture(
        self,
        arch: str,
        *,
        format: str,
        spec: str | None = None,
        features: Mapping[str, Any] | str | None = None,
        graph: Mapping[str, Any] | str | None = None,
    ) -> None:
        """Add the row of an architecture; `features` and `graph` as objects or as JSON text."""
        texts = {key: json_text(value, f"{arch!r}: {key}") for key, value in (("features", features), ("graph", graph))}
        with self._failing():
            self._archs.add({"arch": [arch], "format": [format], "spec": [spec], **{k: [v] for k, v in texts.items()}})

    def add_runs(self, task: str, curves: Curves, seed: Sequence[object] | None = None) -> None:
        """Add runs of a task with their points; call it as often as there are pieces.

        Args:
            task: A task that was added.
            curves: Finished runs. Ids become names; without groups, each run is a group of its own. Values of declared
                metrics that are not there are written as not measured.
            seed: Seed of each run, None where unknown, shape (n,).
        """
        where = f"{self.path}: task {task!r}"
        if task not in self._tasks:
            raise CorpusError(f"{where} is unknown; add_task comes first")
        refuse_unless_fitting(curves, where, self._tasks[task]["metric"], self._manifest.metrics, self._value_names)
        n = len(curves)
        first = self._runs.rows
        names = [str(name) for name in curves.ids]
        group = (
            names
            if curves.group is None
            else [name if g is None else str(g) for g, name in zip(curves.group, names, strict=True)]
        )
        columns = {
            "run": np.arange(first, first + n, dtype=np.int32),
            "name": names,
            "task": [task] * n,
            "arch": [None] * n if curves.arch is None else list(curves.arch),
            "group": group,
            "seed": [None] * n if seed is None else [None if s is None else str(s) for s in seed],
            "status": list(curves.status),
            "config": config_texts(curves.config, n),
            "n_points": curves.length.astype(np.int32),
        }
        with self._failing():
            if task != self._last_task and self._points.held >= min(_SMALL_TASK, self._group):
                self._points.flush()
            self._last_task = task
            self._runs.add(columns)
            self._points.add(self._point_columns(curves, first))

    def _point_columns(self, curves: Curves, first: int) -> dict[str, npt.NDArray[Any]]:
        columns: dict[str, npt.NDArray[Any]] = {"run": (curves.owner + first).astype(np.int32), "t": curves.t}
        for name in self._value_names:
            if name not in curves.values:
                columns[name] = np.full(len(curves.t), np.nan, dtype=np.float32)
                continue
            with np.errstate(over="ignore"):
                columns[name] = np.asarray(curves.values[name], dtype=np.float32)
            lost = np.isinf(columns[name]) & np.isfinite(curves.values[name])
            if lost.any():
                runs = name_some(np.unique(curves.ids[curves.owner[lost]].astype(str)))
                raise CorpusError(
                    f"{self.path}: {name!r} overflows single precision in runs {runs}; end the run in inf as diverged"
                )
        return columns

    def _finish(self) -> None:
        import pandas as pd

        for table in (self._runs, self._points, self._archs):
            table.close()
        tasks = pd.DataFrame(
            list(self._tasks.values()), columns=None if self._tasks else [c.name for c in TASK_COLUMNS]
        )
        if not self._tasks:
            raise CorpusError(f"{self.path}: no task was added; a corpus has one at least")
        tasks.to_parquet(self._fresh / TASKS, index=False)
        counts: dict[str, Any] = {"n_tasks": len(tasks), "n_runs": self._runs.rows, "n_points": self._points.rows}
        (self._fresh / MANIFEST).write_text(replace(self._manifest, **counts).to_json(), encoding="utf-8")
        self._keep_other_files()
        report = validate(self._fresh)
        replace(report, path=self.path).raise_if_invalid()

    def _keep_other_files(self) -> None:
        old = readable(self.path)
        others = [] if not old.is_dir() else [f for f in old.iterdir() if f.name not in (*FILES, CHECKSUMS)]
        for file in others:
            shutil.copy2(file, self._fresh / file.name)
        if self._card is not None:
            (self._fresh / _CARD).write_text(self._card, encoding="utf-8")
        if self._checksums or (old / CHECKSUMS).is_file():
            write_checksums(self._fresh)

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise CorpusError(
                f"{self.path}: could not be written ({error}); make room or change the permissions, "
                "and write it again. What was there before is unchanged"
            ) from error
