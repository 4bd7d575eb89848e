"""Tables that grow: one file a run, as CSV loggers write it, or one long table of many runs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from metalcx.corpora._read_table import NOT_MEASURED
from metalcx.corpora.importers._log_cells import columns_of, separator_of
from metalcx.corpora.live._run import LiveOptions, LiveRun, absent
from metalcx.corpora.live._tail import Tail

#: Columns that may be the time, in the order of preference, by format.
TIMES = {"csv": ("t", "step", "epoch"), "lightning-csv": ("step", "epoch"), "keras-csv": ("epoch",)}


class CsvFile:
    """One table, read as it grows.

    Args:
        path: The file.
        options: What is followed.
        format: ``csv`` (long: a column ``run``), ``lightning-csv`` or ``keras-csv``.
        name: The run, where the table is of one.
    """

    def __init__(self, path: Path, options: LiveOptions, format: str, name: str | None = None) -> None:
        self.options, self.format, self.name = options, format, name
        self.runs: dict[str, LiveRun] = {}
        self.columns: list[str] = []
        self.time: str | None = None
        self._tail, self._bad = Tail(path), 0

    def poll(self) -> bool:
        """Read what was appended; whether that changed anything.

        Raises:
            OSError: If the file cannot be read, or is gone.
        """
        again, data = self._tail.read()
        if again:
            self.runs, self.columns, self._bad = {}, [], 0
        text = data.decode("utf-8", "replace")
        if not self.columns and text.strip():
            text = self._begin(text.removeprefix("\ufeff").lstrip("\r\n"))
        if self.columns and text:
            self._take(text)
        return again or bool(data)

    def notes(self) -> Iterator[str]:
        """What is not as it should be."""
        if self.columns and not self._places():
            wanted = self.options.metric.name
            lacking = self._lacking()
            if lacking:
                yield f"{self._tail.path}: no column {lacking!r}; it has {', '.join(self.columns[:8])}"
            else:
                yield from (f"{self._tail.path}: {note}" for note in absent(wanted, self.columns))
        if self._bad:
            yield f"{self._tail.path}: {self._bad} rows hold no number where one is due; they are left out"

    def _lacking(self) -> str | None:
        """The column without which nothing can be read, beside that of the metric."""
        if self.format == "csv" and "run" not in self.columns:
            return "run"
        return (self.options.time or TIMES[self.format][0]) if self.time is None else None

    def _begin(self, text: str) -> str:
        """Read the header; what follows it."""
        header, _, rest = text.partition("\n")
        self._delimiter, self.columns = separator_of(header), columns_of(header)
        known = [t for t in TIMES[self.format] if t in self.columns]
        named = self.options.time
        self.time = named if named in self.columns else None if named else next(iter(known), None)
        return rest

    def _places(self) -> tuple[int, int, int | None, int | None] | None:
        """Columns of the time, the value, the run and the task; None where one is missing."""
        metric = self.options.metric.name
        value = metric if metric in self.columns else "value" if self.format == "csv" else metric
        long = self.format == "csv"
        if self.time is None or value not in self.columns or (long and "run" not in self.columns):
            return None
        task = self.columns.index("task") if long and self.options.task and "task" in self.columns else None
        return (
            self.columns.index(self.time),
            self.columns.index(value),
            self.columns.index("run") if long else None,
            task,
        )

    def _take(self, text: str) -> None:
        places = self._places()
        if places is None:
            return
        t_at, y_at, run_at, task_at = places
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=self._delimiter)
        while (row := self._next(rows)) is not None:
            if not row or (task_at is not None and row[task_at : task_at + 1] != [self.options.task]):
                continue
            try:
                cell = row[y_at].strip()
                if cell in NOT_MEASURED:
                    if self.format != "csv":
                        continue
                    # A table with one value a row: this is how pandas writes NaN.
                    cell = "nan"
                t, y, name = float(row[t_at]), float(cell), self.name if run_at is None else row[run_at]
            except (ValueError, IndexError):
                self._bad += 1
                continue
            run = self.runs.setdefault(str(name), LiveRun())
            run.add(t, y)
            run.touched = self._tail.modified

    def _next(self, rows: Iterator[list[str]]) -> list[str] | None:
        """The next row, an empty one where it is none; None after the last."""
        try:
            return next(rows, None)
        except csv.Error:
            self._bad += 1
            return []
