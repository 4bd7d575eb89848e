"""People's own tables: long ones (a row a point) and wide ones (a row a run)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from metalcx.corpora._read_table import curves_of_tables, measured_rows, read_table
from metalcx.corpora.importers._base import Imported, ImportOptions, Tally
from metalcx.corpora.importers._gather import Part, gather
from metalcx.corpora.importers._logs import declared
from metalcx.curves import Curves
from metalcx.errors import DataError, name_some

if TYPE_CHECKING:
    import pandas as pd

_ENDINGS = (".csv", ".parquet", ".pq")
_TIMES = ("t", "step", "epoch")


def read_csv(src: Path, options: ImportOptions, tally: Tally) -> Imported:
    """A long table, CSV or Parquet, as people hand it in: ``run, t, value``, and optionally ``task``.

    `src` is the table, or a folder with `curves.csv` and optionally `runs.csv` (or `.parquet`): one row a run, with
    ``run``, optionally ``arch``, ``status``, ``group``, and hyperparameters. The primary metric's column is its name or
    ``value``; further metrics have columns of their names. t is the column that `options.time` names; by default
    ``t``, else ``step``, else ``epoch``. A run that the second table calls running is left out unless it reached the
    horizon; one that stops short with nothing said is censored.

    Raises:
        DataError: Names the file, the column, up to five offending runs, and the mend.
    """
    curves, runs = _files(src)
    metric, *further = declared(options, "csv")
    # Beside further metrics a blank cell says that this one was not measured then.
    frame = read_table(curves, ["value", metric.name, *(m.name for m in further)] if further else ())
    known = None if runs is None else read_table(runs)
    frame, unit = _timed(frame, options, curves)
    parts = [
        Part(task, _finished(rows, config, options, tally, curves, runs, unit))
        for task, rows, config in _tasks(frame, known, options, curves)
    ]
    parts, architectures = _with_architectures(parts)
    return gather(src, parts, declared(options, "csv"), options, unit, architectures)


def read_wide_csv(src: Path, options: ImportOptions, tally: Tally) -> Imported:
    """A wide table, CSV or Parquet: one row a run, one column a time, whose name is the number.

    Run ids are the column ``run``, else the first. Any other column whose name is no number is a hyperparameter, or
    ``arch``, ``status``, ``group``. Blank cells were not measured; a diverged step is an infinity. `options.time` says
    what the columns count, epochs by default.

    Raises:
        DataError: Names the file, the column, up to five offending runs, and the mend.
    """
    from metalcx.curves._frames import melt

    if len(declared(options, "wide-csv")) > 1:
        raise DataError(f"{src}: a wide table holds one metric; leave the further ones out, or give a long table")
    table = read_table(src)
    table = table if "run" in table else table.rename(columns={table.columns[0]: "run"})
    times = [column for column in table if _is_number(column)]
    if not times:
        raise DataError(f"{src}: no column is a time; it has {name_some(map(str, table.columns), 8)}")
    known = table.drop(columns=times)
    if known["run"].isna().any():
        raise DataError(f"{src}: column 'run' is missing in row {int(known['run'].isna().argmax()) + 1}; fill it in")
    frame = melt(table.set_index("run")[times], str(src))
    unit = options.time or "epoch"
    parts, architectures = _with_architectures([Part(None, _finished(frame, known, options, tally, src, src, unit))])
    return gather(src, parts, declared(options, "wide-csv"), options, unit, architectures)


def _is_number(name: object) -> bool:
    try:
        return bool(np.isfinite(float(str(name))))
    except ValueError:
        return False


def _files(src: Path) -> tuple[Path, Path | None]:
    """The table of points, and that of runs where there is one."""
    if not src.is_dir():
        return src, None
    there = {stem: [p for e in _ENDINGS if (p := src / f"{stem}{e}").is_file()] for stem in ("curves", "runs")}
    if len(there["curves"]) != 1 or len(there["runs"]) > 1:
        raise DataError(f"{src}: a folder holds one curves.csv (or .parquet) and at most one runs.csv; give it so")
    return there["curves"][0], next(iter(there["runs"]), None)


def _timed(frame: pd.DataFrame, options: ImportOptions, path: Path) -> tuple[pd.DataFrame, str]:
    """The table with its time as ``t``, and what that counts."""
    if options.time is not None and options.time not in frame and "t" not in frame:
        raise DataError(f"{path}: no column {options.time!r} and no column 't'; it has {name_some(frame.columns, 8)}")
    named = options.time if options.time in frame else None
    column = named or next((c for c in _TIMES if c in frame), "t")
    if column != "t":
        frame = frame.drop(columns="t", errors="ignore").rename(columns={column: "t"})
    return frame, options.time or (column if column != "t" else "epoch")


def _tasks(
    frame: pd.DataFrame, known: pd.DataFrame | None, options: ImportOptions, path: Path
) -> Iterator[tuple[str | None, pd.DataFrame, pd.DataFrame | None]]:
    """Rows of each task; a column ``task`` tells them apart unless `options.task` chooses one."""
    if "task" not in frame:
        yield None, frame, known
        return
    if frame["task"].isna().any():
        raise DataError(f"{path}: column 'task' is missing in row {int(frame['task'].isna().argmax()) + 1}; fill it in")
    names = frame["task"].astype(str)
    if options.task is not None and options.task not in set(names):
        raise DataError(f"{path}: column 'task' holds no {options.task!r}; there is {name_some(names.unique())}")
    config = None
    if known is not None and "task" in known:
        config = {str(task): rows for task, rows in known.groupby(known["task"].astype(str))}
        known = known.iloc[:0]
    # Grouped once: tables may hold thousands of tasks.
    for task, rows in frame.groupby(names, sort=False):
        if options.task in (None, task):
            mine = known if config is None else config.get(str(task), known)
            yield str(task), rows.drop(columns="task").reset_index(drop=True), mine


def _finished(
    frame: pd.DataFrame,
    known: pd.DataFrame | None,
    options: ImportOptions,
    tally: Tally,
    path: Path,
    runs: Path | None,
    unit: str,
) -> Curves:
    """Curves of one task without the runs that go on."""
    metric, *further = declared(options, "csv")
    frame, said = measured_rows(frame, (metric, *further), str(path)), _said(known)
    horizon = options.horizon if options.horizon is not None else _end(frame, said)
    if known is not None and "status" in known:
        # An end that is stated stands; where a run diverged is for its values to say.
        known = known.assign(status=known["status"].mask(known["status"].isin(["diverged", "running"])))
    curves = curves_of_tables(frame, metric, known, horizon, further, str(path), str(runs))
    given = np.array([said.get(str(run)) for run in curves.ids], dtype=object)
    _refuse_contradictions(curves, given, str(path))
    going = (given == "running") & (curves.status == "running")
    for run in curves.ids[going]:
        tally.skip(run, "still running, says the source; --horizon says when a run is complete")
    status = np.where(curves.status == "running", "censored", curves.status).astype(object)
    values = dict(curves.values) | {m.name: _finite(curves, m.name, tally) for m in further}
    return replace(curves, status=status, values=values, time_unit=unit).take(~going)


def _said(known: pd.DataFrame | None) -> dict[str, str]:
    """Run -> status, where the second table has one."""
    if known is None or "status" not in known or "run" not in known:
        return {}
    return {str(run): str(s) for run, s in zip(known["run"], known["status"], strict=True) if isinstance(s, str)}


def _end(frame: pd.DataFrame, said: Mapping[str, str]) -> float | None:
    """The largest t of a run that does not go on, or None where there is none."""
    import pandas as pd

    if "run" not in frame or "t" not in frame:
        return None
    t = pd.to_numeric(frame["t"], errors="coerce")
    end = t[frame["run"].astype(str).map(said).ne("running")].max()
    return float(end) if np.isfinite(end) else None


def _refuse_contradictions(curves: Curves, given: np.ndarray, source: str) -> None:
    whole = (given == "diverged") & (curves.status != "diverged")
    if whole.any():
        raise DataError(
            f"{source}: every value is finite in runs {name_some(curves.ids[whole])}, whose status is 'diverged'; "
            "write NaN or inf where they diverged"
        )
    broken = np.zeros(len(curves), dtype=bool)
    broken[curves.owner[np.isinf(curves.y)]] = True
    broken &= curves.status != "diverged"
    if broken.any():
        raise DataError(
            f"{source}: {curves.metric.name!r} is infinite in runs {name_some(curves.ids[broken])}, whose status is "
            "'completed' or 'censored'; call them diverged"
        )


def _finite(curves: Curves, name: str, tally: Tally) -> np.ndarray:
    """Values of a further metric, in which an infinity has no place."""
    values = curves.values[name]
    bad = np.isinf(values)
    for run, count in zip(*np.unique(curves.ids[curves.owner[bad]].astype(str), return_counts=True), strict=True):
        tally.skip(f"{run}: {count} of {name!r}", "infinite values of a further metric")
    return np.where(bad, np.nan, values)


def _with_architectures(parts: list[Part]) -> tuple[list[Part], list[dict[str, Any]]]:
    """Parts whose architectures are ids, and the rows of those: graphs as JSON, or names."""
    rows: dict[str, dict[str, Any]] = {}
    found = []
    for part in parts:
        archs = part.curves.arch
        if archs is not None:
            archs = np.array([None if a is None else _architecture(str(a), rows) for a in archs], dtype=object)
        found.append(Part(part.task, replace(part.curves, arch=archs)))
    return found, list(rows.values())


def _architecture(text: str, rows: dict[str, dict[str, Any]]) -> str:
    if text.lstrip().startswith("{"):
        arch = f"graph-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
        rows[arch] = {"arch": arch, "format": "graph", "graph": text}
        return arch
    rows[text] = {"arch": text, "format": "name", "spec": text}
    return text
