"""Tables that people hand in: CSV or Parquet. Every mistake names the file and the mend."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from metalcx.corpora._pages import check_pages
from metalcx.corpora._table import MAX_CELLS
from metalcx.errors import DataError, name_some

if TYPE_CHECKING:
    import pandas as pd

    from metalcx.curves import Curves, Metric

_PARQUET = b"PAR1"
_INDEX = re.compile(r"__index_level_\d+__")

#: Columns that are names, whatever they look like: run 007 is not run 7, and a run may be called NA.
_NAMES = ("run", "task")
#: Cells of a text table that say that nothing was measured; ``nan`` says that what was measured is no number.
NOT_MEASURED = ("", "null", "NULL", "None", "NA", "N/A", "n/a", "<NA>", "#N/A")
_BLANK = [*NOT_MEASURED, "nan", "NaN", "NAN", "-nan", "-NaN"]


def read_table(path: Path, measured: Iterable[str] = ()) -> pd.DataFrame:
    """A CSV or Parquet file, told apart by content; columns ``run`` and ``task`` of a CSV as the text that they are.

    Args:
        path: The file.
        measured: Columns of a CSV of which blank cells are told from ``nan``: they were not measured, and are pd.NA. By
            default a blank cell is NaN, as pandas writes it: with one value a row, nothing else can be meant.

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
    return _read_csv(path, measured)


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
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with Path(path).open("rb") as file:
            check_pages(file)
        with pq.ParquetFile(path, pre_buffer=False, page_checksum_verification=True) as file:
            if file.metadata.num_rows * file.metadata.num_columns > MAX_CELLS:
                raise ValueError(f"it states {file.metadata.num_rows} rows, too many for a table")
            # What pandas notes beside the table could turn columns into an index, or name types that there are not.
            table = file.read()
            # Text that is no UTF-8 would be found out by whoever reads it first.
            table.validate(full=True)
            frame: pd.DataFrame = table.to_pandas(ignore_metadata=True)
        return frame.drop(columns=[c for c in frame.columns if _INDEX.fullmatch(str(c))])
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        first = str(error).splitlines()[0].split(". ")[0][:120]
        raise DataError(f"{path}: is no whole Parquet file ({first}); write it again") from None


def _read_csv(path: Path, measured: Iterable[str]) -> pd.DataFrame:
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
            frame = read(dtype=dict.fromkeys(_NAMES, str), keep_default_na=False, na_values=blank)
            missing = [c for c in measured if c in frame and frame[c].isna().any()]
            cells = read(usecols=missing, dtype=str, keep_default_na=False) if missing else frame[[]]
    except UnicodeDecodeError:
        raise DataError(f"{path}: is not text in UTF-8; save the table as CSV in UTF-8, or as Parquet") from None
    except pd.errors.ParserWarning:
        raise DataError(f"{path}: rows have more fields than the header; write one field for each column") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as error:
        raise DataError(f"{path}: is no CSV table ({' '.join(str(error).split())[:120]}); mend that row") from None
    for column in cells:
        frame[column] = frame[column].astype(object).mask(cells[column].str.strip().isin(NOT_MEASURED), pd.NA)
    return frame


def measured_rows(frame: pd.DataFrame, metrics: Iterable[Metric], source: str = "curves") -> pd.DataFrame:
    """The rows of a table of `read_table` in which any of the metrics, of which the first is primary, was measured.

    Raises:
        DataError: Names runs whose primary metric was never measured.
    """
    from metalcx.curves._columns import not_measured, refuse_unclear

    metrics = tuple(metrics)
    refuse_unclear(frame, metrics, source)
    primary, *further = (m.name for m in metrics)
    names = [name for name in (primary if primary in frame else "value", *further) if name in frame]
    blank = [not_measured(frame[name]) for name in names]
    if not any(b.any() for b in blank):
        return frame
    lost = frame["run"][~frame["run"].isin(frame["run"][~blank[0]])].unique() if "run" in frame else ()
    if len(lost):
        raise DataError(
            f"{source}: column {names[0]!r} is blank in every row of runs {name_some(lost)}; leave them out, or write "
            "nan where they diverged"
        )
    return frame[~np.all(blank, axis=0)].reset_index(drop=True)


def curves_of_tables(
    frame: pd.DataFrame,
    metric: Metric,
    known: pd.DataFrame | None = None,
    horizon: float | None = None,
    metrics: Iterable[Metric] = (),
    source: str = "curves",
    runs: str = "runs",
) -> Curves:
    """`Curves.from_frame` of tables that came from files named `source` and `runs`; ids may differ in type.

    Rows in which nothing was measured are left out.

    Raises:
        DataError: Names the file, the column, up to five offending runs, and the mend.
    """
    from metalcx.curves import Curves

    further = tuple(metrics)
    if known is not None and "run" in known.columns and "run" in frame.columns:
        known = known.assign(run=_like(known["run"], frame["run"]))
    try:
        frame = measured_rows(frame, (metric, *further), source)
        return Curves.from_frame(frame, metric, known, horizon, further, source)
    except DataError as error:
        # Curves know no files: what they say of the second table begins with its role.
        text = str(error)
        raise DataError(f"{runs}{text.removeprefix('runs')}" if text.startswith("runs:") else text) from None


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
