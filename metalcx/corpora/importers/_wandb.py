"""Exports of Weights & Biases: tables of run histories, and what panels save."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from metalcx._json import loads
from metalcx.corpora.importers._base import Imported, ImportOptions, Tally
from metalcx.corpora.importers._log_cells import files_below, numbers, read_cells, relative_name, series_of
from metalcx.corpora.importers._logs import LoggedRun, Series, declared, from_runs
from metalcx.corpora.importers._settings import flat, read_yaml
from metalcx.errors import DataError, name_some

if TYPE_CHECKING:
    import pandas as pd

_STEP, _RUNTIME = "_step", "_runtime"
#: What t may be called -> its columns in a history and in a panel.
_COLUMNS = {"step": (_STEP, "Step"), "seconds": (_RUNTIME, "Relative Time (Process)")}
_RUN_COLUMNS = ("run", "run_id", "run_name", "name")
_JOINT = " - "
_ENDS = ("__MIN", "__MAX")


@dataclass
class _Found:
    """What the files say of one run so far."""

    series: dict[str, Series] = field(default_factory=dict)
    tags: dict[str, None] = field(default_factory=dict)
    config: dict[str, object] = field(default_factory=dict)


def read_wandb(src: Path, options: ImportOptions, tally: Tally) -> Imported:
    """Tables that came out of Weights & Biases: `src`, or the CSV and Parquet files below it.

    Three layouts are read; other tables are left out and noted.

    - A run's history, ``pd.DataFrame(run.scan_history())`` as a file: it has a column ``_step``. The run is called as
      the file, or, where that is called `history`, as its folder; `config.yaml` and `wandb-summary.json` then stand
      beside it or in `files/`. The configuration is from the former; the latter says how far the run came, and a
      history that ends before is noted.
    - The histories of many runs in one table: also a column ``run``, ``run_id``, ``run_name`` or ``name``.
    - What a line panel saves: ``Step``, and columns such as ``run - metric``, ``run - metric__MIN``,
      ``run - metric__MAX``. A panel averages long runs over buckets; that shows in its extremes, and is refused.

    Blank cells were not measured. Times are ``step`` (the default), ``seconds``, or any column that was logged.

    Raises:
        DataError: If there is no such table, a panel is averaged, or the metric was not logged.
        MissingDependencyError: If there is a `config.yaml`, and no PyYAML.
    """
    names = [m.name for m in declared(options, "wandb")]
    time = options.time or "step"
    found: dict[str, _Found] = {}
    for path in files_below(src, "*.csv", "*.parquet"):
        table = read_cells(path, tally)
        if _STEP in table:
            _add_histories(found, src, path, table, names, time, tally)
        elif any(_JOINT in str(column) for column in table):
            _add_panel(found, path, table, names, time)
        else:
            tally.skip(path.name, "neither a history (no column _step) nor a panel (no column 'run - metric')")
    if not found:
        raise DataError(
            f"{src}: holds no export; save pd.DataFrame(run.scan_history()) as CSV or Parquet, a run a file"
        )
    runs = [LoggedRun(name, run.series, run.tags, run.config) for name, run in found.items()]
    return from_runs(src, runs, options, tally, "wandb", "second" if time == "seconds" else time)


def _add_histories(
    found: dict[str, _Found], src: Path, path: Path, table: pd.DataFrame, names: list[str], time: str, tally: Tally
) -> None:
    column = _column(table, time, path)
    for name, rows in _split(src, path, table):
        run = found.setdefault(name, _Found())
        run.series |= series_of(rows, names, column, path, _RUNTIME)
        run.tags |= dict.fromkeys(c for c in map(str, table) if not c.startswith("_") and c not in _RUN_COLUMNS)
        if path.stem == "history":
            run.config = _config(path.parent)
            _note_unless_whole(name, path.parent, numbers(rows, _STEP, path), tally)


def _split(src: Path, path: Path, table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The runs of a history table."""
    column = next((c for c in _RUN_COLUMNS if c in table), None)
    if column is not None:
        yield from ((str(name), rows) for name, rows in table.groupby(column, sort=False))
    elif path.stem == "history":
        yield relative_name(src, path.parent) if src.is_dir() else path.resolve().parent.name, table
    else:
        yield relative_name(src, path.with_suffix("")) if src.is_dir() else path.stem, table


def _add_panel(found: dict[str, _Found], path: Path, table: pd.DataFrame, names: list[str], time: str) -> None:
    column = _column(table, time, path)
    for joined in (str(c) for c in table if _JOINT in str(c) and not str(c).endswith((*_ENDS, f"{_JOINT}{_STEP}"))):
        metric = next((n for n in names if joined.endswith(_JOINT + n)), joined.rpartition(_JOINT)[2])
        run = found.setdefault(joined.removesuffix(_JOINT + metric), _Found())
        run.tags[metric] = None
        if metric in names:
            _refuse_averaged(path, table, joined)
            run.series[metric] = series_of(table, [joined], column, path)[joined]


def _refuse_averaged(path: Path, table: pd.DataFrame, column: str) -> None:
    for end in _ENDS:
        if column + end in table:
            extreme, value = numbers(table, column + end, path), numbers(table, column, path)
            if not np.array_equal(extreme, value, equal_nan=True):
                raise DataError(
                    f"{path}: column {column!r} holds averages over buckets, since it differs from {column + end!r}; "
                    "export the whole history with run.scan_history()"
                )


def _column(table: pd.DataFrame, time: str, path: Path) -> str:
    for column in _COLUMNS.get(time, (time,)):
        if column in table:
            return column
    raise DataError(f"{path}: no column of the time {time!r}; it has {name_some(map(str, table), 10)}")


def _beside(folder: Path, name: str) -> Path | None:
    places: Sequence[Path] = (folder / name, folder / "files" / name)
    return next((p for p in places if p.is_file()), None)


def _config(folder: Path) -> dict[str, object]:
    """The configuration; W&B wraps each value as ``{value: ...}`` and adds entries of its own."""
    path = _beside(folder, "config.yaml")
    held = {} if path is None else read_yaml(path)
    own = {k: v for k, v in held.items() if k not in ("_wandb", "wandb_version")}
    return flat({k: v["value"] if isinstance(v, dict) and "value" in v else v for k, v in own.items()})


def _note_unless_whole(name: str, folder: Path, steps: np.ndarray, tally: Tally) -> None:
    path = _beside(folder, "wandb-summary.json")
    try:
        summary: Any = {} if path is None else loads(path.read_text(encoding="utf-8"), constants=True)
    except (ValueError, OSError):
        raise DataError(f"{path}: is no whole JSON file; export it again, or remove it") from None
    last = summary.get(_STEP) if isinstance(summary, dict) else None
    if isinstance(last, (int, float)) and len(steps) and last > np.nanmax(steps):
        tally.skip(
            f"{name}: steps {np.nanmax(steps):g} to {last:g}",
            "the history ends before the last step of wandb-summary.json; export it with run.scan_history()",
        )
