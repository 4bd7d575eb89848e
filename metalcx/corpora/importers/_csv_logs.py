"""What CSV loggers write: Lightning's `metrics.csv` and Keras's `CSVLogger`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from metalcx.corpora.importers._base import Imported, ImportOptions, Tally
from metalcx.corpora.importers._log_cells import files_below, header_of, read_cells, relative_name, series_of
from metalcx.corpora.importers._logs import LoggedRun, chosen_time, declared, from_runs
from metalcx.corpora.importers._settings import flat, read_yaml
from metalcx.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

_TIMES = ("step", "epoch")


def read_lightning_csv(src: Path, options: ImportOptions, tally: Tally) -> Imported:
    """Folders of Lightning's `CSVLogger` below `src`: each `metrics.csv` is a run, called by its folder's path.

    Cells that are blank were not measured. The configuration is `hparams.yaml` beside it. Times are ``step`` (the
    default) or ``epoch``, the number of the epoch in which a value was logged.

    Raises:
        DataError: If there is no `metrics.csv`, one is no table, or the metric was not logged.
        MissingDependencyError: If there are hyperparameters, and no PyYAML.
    """
    files = list(files_below(src, "metrics.csv"))
    if not files:
        raise DataError(f"{src}: holds no metrics.csv; give the folder that CSVLogger wrote to")
    tables = {path: read_cells(path, tally) for path in files}
    time = chosen_time(options, [t for t in _TIMES if all(t in table for table in tables.values())], src)
    runs = _lightning_runs(src, tables, options, time)
    return from_runs(src, runs, options, tally, "lightning-csv", time)


def _lightning_runs(
    src: Path, tables: dict[Path, pd.DataFrame], options: ImportOptions, time: str
) -> Iterator[LoggedRun]:
    names = [m.name for m in declared(options, "lightning-csv")]
    for path, table in tables.items():
        settings = path.with_name("hparams.yaml")
        config = flat(read_yaml(settings)) if settings.is_file() else {}
        name = relative_name(src, path.parent) if src.is_dir() else path.parent.resolve().name
        tags = [c for c in map(str, table) if c not in _TIMES]
        yield LoggedRun(name, series_of(table, names, time, path), tags, config)


def read_keras_csv(src: Path, options: ImportOptions, tally: Tally) -> Imported:
    """Files of Keras's `CSVLogger`: `src`, or those below it whose first column is ``epoch``.

    A run is called by its file's path without the ending. Any separator of comma, semicolon and tab is read. Times
    are epochs as logged, from 0.

    Raises:
        DataError: If there is no such file, one is no table, or the metric was not logged.
    """
    files = []
    for path in files_below(src, "*.csv", "*.log", "*.tsv", "*.txt"):
        if header_of(path)[:1] == ["epoch"]:
            files.append(path)
        else:
            tally.skip(path.name, "no log of Keras: its first column is not 'epoch'")
    if not files:
        raise DataError(f"{src}: holds no table whose first column is 'epoch'; give what CSVLogger wrote")
    return from_runs(src, _keras_runs(src, files, options, tally), options, tally, "keras-csv", "epoch")


def _keras_runs(src: Path, files: list[Path], options: ImportOptions, tally: Tally) -> Iterator[LoggedRun]:
    names = [m.name for m in declared(options, "keras-csv")]
    chosen_time(options, ["epoch"], src)
    for path in files:
        table = read_cells(path, tally)
        name = relative_name(src, path.with_suffix("")) if src.is_dir() else path.stem
        # Of a metric that never was, Keras writes a column of NA.
        series = {k: s for k, s in series_of(table, names, "epoch", path).items() if len(s.t)}
        yield LoggedRun(name, series, [c for c in map(str, table) if c != "epoch"])
