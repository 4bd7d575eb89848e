"""A corpus on disk, opened: small things at once, large ones when they are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from metalcx._swap import readable
from metalcx.corpora._format import (
    ARCHITECTURE_COLUMNS,
    ARCHITECTURES,
    CURVES,
    MANIFEST,
    MAX_MANIFEST,
    RUN_COLUMNS,
    RUNS,
    SECONDS,
    TASK_COLUMNS,
    TASKS,
    Column,
    Manifest,
    curve_columns,
    schema_problems,
)
from metalcx.corpora._points import Points, read_points, read_runs, whole_runs
from metalcx.corpora._table import TableFile
from metalcx.corpora._task import Task
from metalcx.curves import Metric
from metalcx.errors import CorpusError, name_some

if TYPE_CHECKING:
    import pandas as pd

_Identity = tuple[int, int, int]
_ATTEMPTS = 20


@dataclass(frozen=True, eq=False)
class Corpus:
    """A folder of the corpus format, version 1. Use `Corpus.open`.

    Opening reads `corpus.json`, `tasks.parquet` and the footers of the other files, whatever the size of the corpus.
    A corpus that is replaced on disk while it is open is noticed: the next read raises.

    Attributes:
        path: The folder that is read.
        manifest: What `corpus.json` says.
    """

    path: Path
    manifest: Manifest
    _identity: _Identity | None = field(repr=False)

    @classmethod
    def open(cls, path: str | Path) -> Corpus:
        """Open a folder.

        If a write to it was interrupted between its two renames, the old corpus is what opens.

        Raises:
            CorpusError: If the folder is no corpus, a file is missing, cut short, or lacks a column.
        """
        for attempt in range(_ATTEMPTS):
            before = _standing(Path(path))
            try:
                return cls._open(before[0])
            except CorpusError:
                # If a writer swapped the folder while we looked, what we saw was no fault of its files.
                if attempt == _ATTEMPTS - 1 or _standing(Path(path)) == before:
                    raise
        raise AssertionError("unreachable")

    @classmethod
    def _open(cls, folder: Path) -> Corpus:
        if not folder.is_dir():
            raise CorpusError(f"{folder}: there is no such folder; a corpus is a folder that holds {MANIFEST}")
        if not _has(folder, MANIFEST):
            raise CorpusError(
                f"{folder}: holds no {MANIFEST}, so it is no corpus; give the folder in which that file is"
            )
        corpus = cls.describe(folder)
        for name, problems in structure_problems(corpus):
            column, message = problems[0]
            raise CorpusError(f"{folder / name}: column {column!r} {message}; write the corpus again")
        corpus.tasks  # noqa: B018 - small, and everything else hangs on it
        return corpus

    @property
    def name(self) -> str:
        """Name of the corpus."""
        return self.manifest.name

    @property
    def time_unit(self) -> str:
        """What t counts, such as ``epoch``."""
        return self.manifest.time_unit

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """All declared metrics."""
        return self.manifest.metrics

    @property
    def licence(self) -> str:
        """Licence of the data."""
        return self.manifest.licence

    @property
    def citation(self) -> str:
        """What to cite."""
        return self.manifest.citation

    @property
    def redistributable(self) -> bool:
        """False if nothing learned from the corpus may ship."""
        return self.manifest.redistributable

    @property
    def n_tasks(self) -> int:
        """Number of tasks."""
        return self.manifest.n_tasks

    @property
    def n_runs(self) -> int:
        """Number of runs."""
        return self.manifest.n_runs

    @property
    def n_points(self) -> int:
        """Number of points."""
        return self.manifest.n_points

    @cached_property
    def tasks(self) -> pd.DataFrame:
        """One row a task: task, dataset, family, domain, metric, and meta-features."""
        frame = self._read(TASKS)
        names = frame["task"]
        if names.isna().any() or names.duplicated().any():
            row = int(np.flatnonzero(names.isna() | names.duplicated())[0])
            raise CorpusError(f"{self.path / TASKS}: row {row}, column 'task' is empty or repeats; name each task once")
        return frame

    @cached_property
    def runs(self) -> pd.DataFrame:
        """One row a run: run, name, task, arch, group, seed, status, config (JSON text), n_points."""
        return self._read(RUNS)

    @cached_property
    def architectures(self) -> pd.DataFrame:
        """One row an architecture: arch, format, spec, features (JSON text), graph (JSON text)."""
        return self._read(ARCHITECTURES)

    @property
    def task_names(self) -> tuple[str, ...]:
        """Names of the tasks, in the order of the file."""
        return tuple(map(str, self.tasks["task"]))

    def task(self, name: str) -> Task:
        """One task by name.

        Raises:
            CorpusError: If there is none of that name, or its metric is not declared.
        """
        names = self.task_names
        if name not in names:
            raise CorpusError(f"{self.name}: no task {name!r}; it has {name_some(names, 8)}")
        row = {str(key): value for key, value in self.tasks.iloc[names.index(name)].items()}
        metric = next((m for m in self.metrics if m.name == row["metric"]), None)
        if metric is None:
            raise CorpusError(
                f"{self.path / TASKS}: row {names.index(name)}, column 'metric': {row['metric']!r} is not declared in "
                f"{MANIFEST}; declare it or correct the task"
            )
        known = {c.name: row.pop(c.name) for c in TASK_COLUMNS}
        meta = {key: getattr(value, "item", lambda value=value: value)() for key, value in row.items()}
        return Task(self, name, known["dataset"], known["family"], known["domain"], metric, meta)

    def __iter__(self) -> Iterator[Task]:
        """Every task, in the order of the file."""
        return (self.task(name) for name in self.task_names)

    def __len__(self) -> int:
        """Number of tasks."""
        return len(self.tasks)

    def scan(self, batch_points: int = 1 << 18, columns: Iterable[str] | None = None) -> Iterator[Points]:
        """Stream all points, whole runs at a time, in memory bounded by a batch and the longest run.

        Args:
            batch_points: About how many points a piece has: at most twice as many and the longest run.
            columns: Metrics, and ``seconds`` where measured; all metrics by default.

        Raises:
            CorpusError: At the first row that cannot be read or is out of order.
        """
        names = self._value_columns(columns)
        with self.open_table(CURVES) as table:
            rows = max(1, min(batch_points, 1 << 17))
            yield from whole_runs(_in_order(read_points(table, names, rows), table.path), batch_points)

    def points(self, runs: npt.ArrayLike, columns: Iterable[str] | None = None) -> Points:
        """Points of the runs with these numbers; only row groups that may hold them are read.

        Args:
            runs: Run numbers, any order.
            columns: As in `scan`.

        Raises:
            CorpusError: If a number is of no run.
        """
        given = np.asarray(runs)
        whole = given.dtype.kind in "iu" or (given.dtype.kind == "f" and (given == np.floor(given)).all())
        if not whole or ((given < 0) | (given >= self.n_runs)).any():
            raise CorpusError(f"{self.name}: runs {given!s:.80} are not all run numbers from 0 to {self.n_runs - 1}")
        numbers = np.unique(given.astype(np.int32))
        names = self._value_columns(columns)
        with self.open_table(CURVES) as table:
            points = read_runs(table, numbers, names)
            next(_in_order(iter([points]), table.path), None)
        return points

    def has(self, column: str) -> bool:
        """Whether `curves.parquet` has a column, such as ``seconds``."""
        with self.open_table(CURVES) as table:
            return column in table.schema.names

    def _value_columns(self, columns: Iterable[str] | None) -> list[str]:
        declared = [m.name for m in self.metrics]
        if columns is None:
            return declared
        names = list(dict.fromkeys(columns))
        unknown = [n for n in names if n not in declared and not (n == SECONDS and self.has(SECONDS))]
        if unknown:
            raise CorpusError(f"{self.name}: no values {name_some(unknown)}; it measures {name_some(declared, 8)}")
        return names

    def _read(self, file: str) -> pd.DataFrame:
        with self.open_table(file) as table:
            frame: pd.DataFrame = table.read().to_pandas()
        return frame

    @classmethod
    def describe(cls, folder: Path) -> Corpus:
        """A corpus of which only `corpus.json` was read; its other files are not looked at."""
        identity = _identity(folder)
        return cls(folder, read_manifest(folder), identity)

    def open_table(self, file: str) -> TableFile:
        """One of its Parquet files; raises if the folder was replaced since the corpus was opened."""
        replaced = CorpusError(f"{self.path}: the corpus was replaced or removed since it was opened; open it again")
        if _identity(self.path) != self._identity:
            raise replaced
        try:
            table = TableFile(self.path / file)
        except CorpusError:
            # A file that a swap took away while we opened it is not missing from its corpus.
            if _identity(self.path) != self._identity:
                raise replaced from None
            raise
        # Asked again once the file is open: a swap in between would have handed us a file of the new corpus.
        if _identity(self.path) != self._identity:
            raise replaced
        return table


def read_manifest(folder: Path) -> Manifest:
    """`corpus.json` of a folder, every complaint with its path."""
    file = folder / MANIFEST
    try:
        if file.stat().st_size > MAX_MANIFEST:
            raise CorpusError(f"is {file.stat().st_size} bytes long, more than the {MAX_MANIFEST} of any corpus")
        return Manifest.parse(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"{file}: cannot be read ({error}); restore it or write the corpus again") from error
    except CorpusError as error:
        raise CorpusError(f"{file}: {error}") from None


def structure_problems(corpus: Corpus) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """(file, [(column, message), ...]) of each file whose columns are not those of the format.

    Raises:
        CorpusError: At a file that is missing or no whole Parquet file.
    """
    seconds = (Column(SECONDS, "float32", nullable=True),)
    for name, columns, optional, others in (
        (TASKS, TASK_COLUMNS, (), True),
        (RUNS, RUN_COLUMNS, (), False),
        (CURVES, curve_columns(corpus.metrics), seconds, False),
        (ARCHITECTURES, ARCHITECTURE_COLUMNS, (), False),
    ):
        with corpus.open_table(name) as table:
            found = schema_problems(table.schema, columns, optional, others)
        if found:
            yield name, found


def _has(folder: Path, file: str) -> bool:
    return (folder / file).is_file()


def _identity(folder: Path) -> _Identity | None:
    """What tells one corpus from another in its place; None where there is none. Inode numbers alone are used again."""
    try:
        found = (folder / MANIFEST).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns


def _standing(path: Path) -> tuple[Path, _Identity | None]:
    """The folder to read for `path` at this moment, and the identity of what is in it."""
    folder = readable(path)
    return folder, _identity(folder)


def _in_order(parts: Iterator[Points], path: Path) -> Iterator[Points]:
    row, last = 0, -1
    for part in parts:
        back = np.flatnonzero(np.diff(part.run, prepend=np.int32(last)) < 0)
        if len(back):
            raise CorpusError(f"{path}: row {row + back[0]}, column 'run' goes back; the file is sorted by (run, t)")
        yield part
        row, last = row + len(part), int(part.run[-1]) if len(part) else last
