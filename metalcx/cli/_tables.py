"""Tables that people hand in and get back: CSV or Parquet. Every mistake names the file and the mend."""

from __future__ import annotations

import os
import secrets
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from metalcx.errors import DataError, name_some

if TYPE_CHECKING:
    import pandas as pd

    from metalcx.curves import Curves, Metric

_PARQUET = b"PAR1"

#: Columns that are names, whatever they look like: run 007 is not run 7, and a run may be called NA.
_NAMES = ("run", "task")
_BLANK = ["", "nan", "NaN", "NAN", "-nan", "-NaN", "null", "NULL", "None", "NA", "N/A", "n/a", "<NA>", "#N/A"]


def read_curves(
    path: Path, metric: Metric, runs: Path | None = None, task: str | None = None, horizon: float | None = None
) -> Curves:
    """The curves of one task in a long table ``run, t, value`` (``task`` optional).

    Raises:
        DataError: Names the file, the column, up to five offending runs, and the mend.
    """
    from metalcx.curves import Curves

    frame = read_table(path)
    known = None if runs is None else read_table(runs)
    task = _chosen_task(frame, task, path)
    if task is not None:
        frame = _only(frame, task)
        known = known if known is None or "task" not in known.columns else _only(known, task)
    if known is not None and "run" in known.columns and "run" in frame.columns:
        known = known.assign(run=_like(known["run"], frame["run"]))
    try:
        return Curves.from_frame(frame, metric, known, horizon, source=str(path))
    except DataError as error:
        # Curves know no files: what they say of the second table begins with its role.
        text = str(error)
        raise DataError(f"{runs}{text.removeprefix('runs')}" if runs and text.startswith("runs:") else text) from None


def read_table(path: Path) -> pd.DataFrame:
    """A CSV or Parquet file, told apart by content; columns ``run`` and ``task`` of a CSV as the text that they are.

    Raises:
        DataError: If it is missing, empty, unreadable, or neither.
    """
    head = _head(path)
    if not head:
        raise DataError(f"{path}: the file is empty; give at least a header and one row, as in run,t,value")
    if head.startswith(_PARQUET):
        return _read_parquet(path)
    if b"\0" in head or path.suffix.lower() in (".parquet", ".pq"):
        raise DataError(f"{path}: is neither CSV nor a whole Parquet file; write it again as one of them")
    return _read_csv(path)


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(8192)
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file; give the path of a CSV or Parquet file") from None
    except IsADirectoryError:
        raise DataError(f"{path}: is a folder; give a CSV or Parquet file") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); give a file that you may read") from None


def _read_parquet(path: Path) -> pd.DataFrame:
    import pandas as pd
    import pyarrow as pa

    try:
        return pd.read_parquet(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        first = str(error).splitlines()[0][:100]
        raise DataError(f"{path}: is no whole Parquet file ({first}); write it again") from None


def _read_csv(path: Path) -> pd.DataFrame:
    import pandas as pd

    def read(**options: Any) -> pd.DataFrame:
        frame: pd.DataFrame = pd.read_csv(path, encoding="utf-8-sig", index_col=False, skipinitialspace=True, **options)
        return frame

    try:
        columns = [str(c) for c in read(nrows=0).columns]
        # An empty run or task is still missing; every other spelling of a name stands.
        blank = {c: [""] if c in _NAMES else _BLANK for c in columns}
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return read(dtype=dict.fromkeys(_NAMES, str), keep_default_na=False, na_values=blank)
    except UnicodeDecodeError:
        raise DataError(f"{path}: is not text in UTF-8; save the table as CSV in UTF-8, or as Parquet") from None
    except pd.errors.ParserWarning:
        raise DataError(f"{path}: rows have more fields than the header; write one field for each column") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as error:
        raise DataError(f"{path}: is no CSV table ({' '.join(str(error).split())[:120]}); mend that row") from None


def _chosen_task(frame: pd.DataFrame, task: str | None, path: Path) -> str | None:
    """The task to keep, or None where the table has no such column."""
    if "task" not in frame.columns:
        if task is not None:
            raise DataError(f"{path}: no column 'task' to choose {task!r} from; leave --task out")
        return None
    names = [str(name) for name in frame["task"].dropna().unique()]
    if frame["task"].isna().any() and names:
        row = int(frame["task"].isna().to_numpy().argmax()) + 1
        raise DataError(f"{path}: column 'task' is missing in row {row}; fill it in")
    if task is None and len(names) > 1:
        raise DataError(f"{path}: column 'task' holds {name_some(names)}; choose one with --task")
    if task is not None and task not in names:
        raise DataError(f"{path}: column 'task' holds no {task!r}; there is {name_some(names)}")
    return task or (names[0] if names else None)


def _only(frame: pd.DataFrame, task: str) -> pd.DataFrame:
    return frame[frame["task"].astype(str) == task].drop(columns="task").reset_index(drop=True)


def _like(ids: pd.Series[Any], wanted: pd.Series[Any]) -> pd.Series[Any]:
    """`ids` in the type of `wanted`, since one table may be CSV (text) and the other Parquet (numbers)."""
    import pandas as pd
    from pandas.api.types import is_numeric_dtype

    if is_numeric_dtype(ids.dtype) and not is_numeric_dtype(wanted.dtype):
        return ids.astype(str)
    if is_numeric_dtype(wanted.dtype) and not is_numeric_dtype(ids.dtype):
        numbers = pd.to_numeric(ids, errors="coerce")
        return ids if numbers.isna().any() else numbers
    return ids


def check_output(path: Path) -> None:
    """Refuse, before any work is done, an output whose kind is unknown or which is a folder.

    Raises:
        DataError: Names the path and the mend.
    """
    if path.suffix.lower() not in (".csv", ".parquet", ".pq"):
        raise DataError(f"{path}: the ending says neither CSV nor Parquet; call it .csv or .parquet")
    if path.is_dir():
        raise DataError(f"{path}: is a folder; give a file")


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """Write CSV or Parquet, by the ending, whole or not at all.

    Raises:
        DataError: If it cannot be written.
    """
    check_output(path)
    if path.suffix.lower() == ".csv":
        write_whole(path, lambda file: frame.to_csv(file, index=False, lineterminator="\n"))
    else:
        write_whole(path, lambda file: frame.to_parquet(file, index=False))


def write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Let `write` fill a file beside `path`, then put it in its place.

    Raises:
        DataError: If it cannot be written; an older file then stays as it was.
    """
    fresh = path.parent / f".{path.name}.{secrets.token_hex(4)}.tmp"
    try:
        with fresh.open("xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, path)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror}); choose a place that you may write to") from None
    finally:
        _remove(fresh)


def _remove(path: Path) -> None:
    try:
        path.unlink()
    except OSError:  # moved into its place, or never made
        return
