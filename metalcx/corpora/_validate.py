"""Every rule of the format, by streaming: memory grows with tasks and architectures, not with runs or points."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from metalcx._json import loads
from metalcx._swap import readable
from metalcx.corpora._check_points import PointChecker
from metalcx.corpora._checksums import checksum_problems
from metalcx.corpora._corpus import Corpus, structure_problems
from metalcx.corpora._format import (
    ARCHITECTURE_COLUMNS,
    ARCHITECTURES,
    CURVES,
    FILES,
    MANIFEST,
    RUN_COLUMNS,
    RUN_STATUSES,
    RUNS,
    SECONDS,
    TASK_COLUMNS,
    TASKS,
    Column,
)
from metalcx.corpora._points import Points
from metalcx.corpora._report import Findings, Report
from metalcx.corpora._run_facts import OutOfOrderError, RunFacts, RunWindow
from metalcx.corpora._table import strings
from metalcx.errors import CorpusError
from metalcx.graphs import graph_problem

if TYPE_CHECKING:
    import pyarrow as pa

Texts = npt.NDArray[np.object_]

_BATCH = 1 << 15  # rows of text columns at once


def validate(path: str | Path) -> Report:
    """Check a folder against every rule of the format.

    Args:
        path: The folder.

    Returns:
        A report; `Report.ok` says whether the folder is valid, `Report.problems` what is wrong and where.
    """
    folder = readable(Path(path))
    findings = Findings()
    try:
        check = _Check(folder, findings)
        check.everything()
        counts = check.counts
    except CorpusError as error:
        findings.add(*_unreadable(folder, str(error)))
        counts = (0, 0, 0)
    return Report(folder, findings.problems(), *counts)


def _unreadable(folder: Path, message: str) -> tuple[str, str]:
    """(file, message) of an error whose text begins with the path."""
    file = next((name for name in FILES if message.startswith(f"{folder / name}: ")), str(folder))
    return file, message.removeprefix(f"{folder / file}: ").removeprefix(f"{folder}: ")


@dataclass
class _Check:
    folder: Path
    findings: Findings
    counts: tuple[int, int, int] = (0, 0, 0)

    def everything(self) -> None:
        if not self.folder.is_dir():
            raise CorpusError(f"{self.folder}: there is no such folder")
        for name in FILES:
            if not (self.folder / name).is_file():
                self.findings.add(name, "the file is missing; a corpus folder is complete or it is none")
        if self.findings.found:
            return
        corpus = Corpus.describe(self.folder)
        for file, problems in structure_problems(corpus):
            for column, message in problems:
                self.findings.add(file, message, column=column)
        if not self.findings.found:
            self._contents(corpus)

    def _contents(self, corpus: Corpus) -> None:
        manifest = corpus.manifest
        tasks = self._tasks(corpus)
        archs = self._architectures(corpus)
        self.counts = (len(tasks), *self._runs_and_curves(corpus, tasks, archs))
        for key, count in zip(("n_tasks", "n_runs", "n_points"), self.counts, strict=True):
            if getattr(manifest, key) != count:
                self.findings.add(
                    MANIFEST, f"says {getattr(manifest, key)}, and the files hold {count}; correct it", column=key
                )
        for file, message in checksum_problems(self.folder):
            self.findings.add(file, message)

    def _tasks(self, corpus: Corpus) -> dict[str, int]:
        """Task -> position of its metric among the declared ones (-1 where it is not)."""
        declared = [m.name for m in corpus.metrics]
        tasks: dict[str, int] = {}
        for start, _, texts in self._batches(corpus, TASKS, TASK_COLUMNS):
            for row, (name, metric) in enumerate(zip(texts["task"], texts["metric"], strict=True), start):
                if name in tasks:
                    self.findings.add(TASKS, f"{name!r} stands there twice; name each task once", row, "task", "twice")
                if metric not in declared:
                    message = f"{metric!r} is not declared in {MANIFEST}; declare it or correct the task"
                    self.findings.add(TASKS, message, row, "metric", "undeclared")
                tasks[name] = declared.index(metric) if metric in declared else -1
        return tasks

    def _architectures(self, corpus: Corpus) -> set[str]:
        archs: set[str] = set()
        for start, batch, texts in self._batches(corpus, ARCHITECTURES, ARCHITECTURE_COLUMNS):
            for row, name in enumerate(texts["arch"], start):
                if name in archs:
                    self.findings.add(ARCHITECTURES, f"{name!r:.80} stands there twice", row, "arch", "twice")
                archs.add(name)
            for column in ("features", "graph"):
                self._json(ARCHITECTURES, start, strings(batch.column(column)), column)
        return archs

    def _runs_and_curves(self, corpus: Corpus, tasks: dict[str, int], archs: set[str]) -> tuple[int, int]:
        """Runs and points counted."""
        before = dict(self.findings.found)
        try:
            return self._side_by_side(corpus, tasks, archs)
        except OutOfOrderError:
            # The file is not sorted. What else is wrong is found with all runs in memory.
            self.findings.found = before
            return self._side_by_side(corpus, tasks, archs, whole=True)

    def _side_by_side(
        self, corpus: Corpus, tasks: dict[str, int], archs: set[str], whole: bool = False
    ) -> tuple[int, int]:
        """Both files are in the order of runs: a run is read when its points come, and forgotten after them."""
        with corpus.open_table(RUNS) as table:
            total = table.rows
        found = Findings()
        facts = self._runs(corpus, tasks, archs, total)
        checker = PointChecker(corpus.metrics, RunWindow(facts, total, found, whole), found)
        damage, points = None, 0
        try:
            points = self._curves(corpus, checker)
        except CorpusError as error:
            damage = error
        # Runs are held to their rules, too, where points ended early.
        for _ in facts:
            pass
        self.findings.found |= found.found
        if damage is not None:
            raise damage
        return total, points

    def _runs(self, corpus: Corpus, tasks: dict[str, int], archs: set[str], total: int) -> Iterator[RunFacts]:
        seen = 0
        for start, batch, texts in self._batches(corpus, RUNS, RUN_COLUMNS):
            number = batch.column("run").to_numpy(zero_copy_only=False)
            self._rows(
                RUNS, number != np.arange(start, start + len(number)), start, "run", "does not count the rows from 0"
            )
            task, status, arch = texts["task"], texts["status"], strings(batch.column("arch"))
            self._known(start, "task", task, set(tasks), f"is not in {TASKS}; add the task or correct the run")
            self._known(start, "arch", arch, archs | {None}, f"has no row in {ARCHITECTURES}; add it")
            self._known(start, "status", status, set(RUN_STATUSES), f"is none of {', '.join(RUN_STATUSES)}")
            count = np.asarray(batch.column("n_points").to_numpy(zero_copy_only=False), dtype=np.int64)
            self._rows(RUNS, count < 1, start, "n_points", "is below 1; a run has a point, or it is left out")
            self._json(RUNS, start, texts["config"], "config")
            seen += len(count)
            metric = np.array([tasks.get(name, -1) for name in task], dtype=np.int16)
            yield RunFacts(count, np.asarray(status == "diverged"), metric)
        if seen != total:
            raise CorpusError(f"{self.folder / RUNS}: states {total} rows and holds {seen}; write the corpus again")

    def _curves(self, corpus: Corpus, checker: PointChecker) -> int:
        with corpus.open_table(CURVES) as table:
            columns = ["run", "t", *(m.name for m in corpus.metrics)]
            columns += [SECONDS] if SECONDS in table.schema.names else []
            for start, batch in table.batches(columns):
                empty = [name for name in ("run", "t") if batch.column(name).null_count]
                for name in empty:
                    self._rows(
                        CURVES, batch.column(name).is_null().to_numpy(zero_copy_only=False), start, name, "is empty"
                    )
                if empty:
                    return table.rows
                checker.feed(Points.of_batch(batch))
        checker.finish()
        return checker.row

    def _batches(
        self, corpus: Corpus, file: str, columns: tuple[Column, ...]
    ) -> Iterator[tuple[int, pa.RecordBatch, dict[str, Texts]]]:
        """First row, batch, and its texts that may not be empty; cells that are empty are noted, or end the check."""
        with corpus.open_table(file) as table:
            for start, batch in table.batches(rows=_BATCH):
                texts: dict[str, Texts] = {}
                for column in columns:
                    values = batch.column(column.name)
                    if column.kind == "string" and not column.nullable:
                        texts[column.name] = strings(values)
                        bad = np.array([not value for value in texts[column.name]], dtype=bool)
                        self._rows(file, bad, start, column.name, "is empty; every row needs it")
                    elif values.null_count and not column.nullable:
                        row = start + int(np.argmax(values.is_null().to_numpy(zero_copy_only=False)))
                        raise CorpusError(
                            f"{self.folder / file}: row {row}, column {column.name!r} is empty; every row needs it"
                        )
                yield start, batch, texts

    def _known(self, start: int, column: str, values: Texts, known: set[str] | set[str | None], message: str) -> None:
        bad = np.array([value not in known for value in values], dtype=bool)
        if bad.any():
            first = values[int(np.argmax(bad))]
            row = start + int(np.argmax(bad))
            self.findings.add(RUNS, f"{first!r:.80} {message}", row, column, message, int(bad.sum()))

    def _json(self, file: str, start: int, texts: Texts, column: str) -> None:
        """Each text once: thousands of runs share a configuration."""
        verdicts: dict[str | None, str | None] = {None: None}
        for row, text in enumerate(texts, start):
            if text not in verdicts:
                verdicts[text] = _json_problem(column, text)
            message = verdicts[text]
            if message is not None:
                self.findings.add(file, message, row, column, "json")

    def _rows(self, file: str, bad: npt.NDArray[np.bool_], start: int, column: str, message: str) -> None:
        self.findings.add_rows(file, bad, start, column, message)


def _json_problem(column: str, text: str) -> str | None:
    try:
        found = loads(text)
    except ValueError as error:
        return f"is not JSON ({error}): {text!r:.60}"
    if column == "config" and not isinstance(found, dict):
        return f"is no JSON object: {text!r:.60}; write {{}} where nothing is known"
    problem = graph_problem(found) if column == "graph" else None
    return None if problem is None else f"the graph {problem}"
