"""A folder of logs: which files belong to which run, and who reads them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from metalcx.corpora.importers._log_cells import header_of, relative_name
from metalcx.corpora.importers._settings import flat, read_yaml
from metalcx.corpora.importers._tensorboard import _home
from metalcx.corpora.live._csv import TIMES, CsvFile
from metalcx.corpora.live._run import LiveOptions, LiveRun
from metalcx.corpora.live._runs_table import RunsTable
from metalcx.corpora.live._tensorboard import EventFolder, nothing_logged
from metalcx.errors import DataError

_TABLES = (".csv", ".log", ".tsv", ".txt")


def files_of(src: Path) -> Iterator[Path]:
    """All files at or below `src`, sorted; none where there is nothing yet."""
    if src.is_file():
        yield src
        return
    for folder, names, files in os.walk(src):
        names.sort()
        yield from (Path(folder, name) for name in sorted(files))


def format_of(src: Path) -> str | None:
    """What kind of logs there are, the most telling first; None as long as there are none."""
    first_table = None
    for path in files_of(src):
        if "tfevents" in path.name:
            return "tensorboard"
        if path.name == "metrics.csv":
            return "lightning-csv"
        if first_table is None and path.suffix in _TABLES:
            first_table = "keras-csv" if header_of(path)[:1] == ["epoch"] else "csv" if _is_long(path) else None
    return first_table


def _is_long(path: Path) -> bool:
    return path.name != "runs.csv" and "run" in header_of(path)


class TensorBoardFolder:
    """Each folder below `src` that holds event files is a run."""

    def __init__(self, src: Path, options: LiveOptions) -> None:
        if options.time not in (None, "step", "seconds"):
            raise DataError(f"no time {options.time!r}; event files have step and seconds")
        self.src, self.options = src, options
        self.time_unit = "second" if options.time == "seconds" else "step"
        self._folders: dict[str, EventFolder] = {}

    @property
    def runs(self) -> dict[str, LiveRun]:
        """Runs by the path of their folder; a folder with hyperparameters alone gives them to the run above it."""
        found = {name: folder.run for name, folder in self._folders.items() if folder.run is not None}
        for name, folder in self._folders.items():
            above = found.get(str(PurePosixPath(name).parent))
            if folder.config and folder.run is None and above is not None and not above.config:
                above.config = folder.config
        return found

    @property
    def notes(self) -> list[str]:
        """What could not be read."""
        told = [note for folder in self._folders.values() for note in folder.notes()]
        return told + list(nothing_logged(self._folders, self.options))

    def poll(self) -> bool:
        """Read what was appended to any event file."""
        homes: dict[str, dict[Path, str]] = {}
        for path in files_of(self.src):
            if "tfevents" in path.name:
                name, prefix = _home(self.src, self.src if self.src.is_file() else path.parent)
                homes.setdefault(name, {})[path] = prefix
        gone = self._folders.keys() - homes.keys()
        for name in gone:
            del self._folders[name]
        changed = [
            self._folders.setdefault(name, EventFolder(self.options)).poll(files) for name, files in homes.items()
        ]
        return bool(gone) or any(changed)


class CsvFolder:
    """Tables below `src`: one a run, or long ones."""

    def __init__(self, src: Path, options: LiveOptions, format: str) -> None:
        self.src, self.options, self.format = src, options, format
        self._files: dict[Path, CsvFile] = {}
        self._settings: dict[Path, dict[str, object]] = {}
        self._known: dict[Path, RunsTable] = {}

    @property
    def time_unit(self) -> str:
        """The column of times."""
        known = next((file.time for file in self._files.values() if file.time), None) or self.options.time
        return known if known not in (None, "t") else "epoch"

    @property
    def runs(self) -> dict[str, LiveRun]:
        """Runs of all tables by name."""
        found: dict[str, LiveRun] = {}
        for path, file in self._files.items():
            said = self._known[path.parent].rows if path.parent in self._known else {}
            for name, run in file.runs.items():
                run.config, run.status = said.get(name, (self._settings.get(path, run.config), run.status))
                found[name] = run
        return found

    @property
    def notes(self) -> list[str]:
        """What could not be read."""
        told = [note for file in self._files.values() for note in file.notes()]
        return told + [table.note for table in self._known.values() if table.note]

    def poll(self) -> bool:
        """Read what was appended to any table."""
        there = dict(self._tables())
        gone = self._files.keys() - there.keys()
        for path in gone:
            self._forget(path)
        changed = bool(gone)
        for path, name in there.items():
            file = self._files.get(path) or CsvFile(path, self.options, self.format, name)
            try:
                changed |= file.poll()
            except OSError:
                # Gone, or not to be read, since it was listed.
                changed |= self._forget(path)
                continue
            self._files[path] = file
            if changed and path not in self._settings:
                self._read_settings(path)
        if self.format == "csv":
            for folder in {path.parent for path in self._files}:
                changed |= self._known.setdefault(folder, RunsTable(folder / "runs.csv")).poll()
        return changed

    def _forget(self, path: Path) -> bool:
        """A table is gone, and with it what stood beside it; whether it was known."""
        self._settings.pop(path, None)
        known = self._files.pop(path, None) is not None
        if all(other.parent != path.parent for other in self._files):
            self._known.pop(path.parent, None)
        return known

    def _tables(self) -> Iterator[tuple[Path, str | None]]:
        for path in files_of(self.src):
            known = path in self._files
            if self.format == "lightning-csv" and path.name == "metrics.csv":
                whole = self.src if self.src.is_dir() else path.parent
                yield path, relative_name(whole, path.parent)
            elif (
                self.format == "keras-csv"
                and path.suffix in _TABLES
                and (known or header_of(path)[:1] == [TIMES["keras-csv"][0]])
            ):
                yield path, relative_name(self.src, path.with_suffix("")) if self.src.is_dir() else path.stem
            elif self.format == "csv" and path.suffix in _TABLES and (known or _is_long(path)):
                yield path, None

    def _read_settings(self, path: Path) -> None:
        settings = path.with_name("hparams.yaml")
        if self.format == "lightning-csv" and settings.is_file():
            try:
                self._settings[path] = flat(read_yaml(settings))
            except DataError:
                # Half-written, or PyYAML is not there: the curves are worth more than their settings.
                return
