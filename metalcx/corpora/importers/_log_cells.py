"""Tables that loggers write: cells are read as text, since a blank cell was not measured and ``nan`` was."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from metalcx.corpora._read_table import NOT_MEASURED, read_table
from metalcx.corpora.importers._base import Tally
from metalcx.corpora.importers._logs import Series
from metalcx.errors import DataError, name_some

if TYPE_CHECKING:
    import pandas as pd

_PARQUET = b"PAR1"


def read_cells(path: Path, tally: Tally) -> pd.DataFrame:
    """A CSV (comma, semicolon or tab, as its header shows) of text cells, or a Parquet file.

    A last line that is not ended, as of a log whose writer was killed, is left out and noted.

    Raises:
        DataError: If it is missing, empty or no table.
    """
    head, ended = _edges(path)
    if head.startswith(_PARQUET):
        return read_table(path)
    first = head.split(b"\n", 1)[0].decode("utf-8", "replace")
    if not first.strip():
        raise DataError(f"{path}: the file is empty; give a log with a header and rows")
    cells = _read_text(path, separator_of(first))
    if ended or not len(cells):
        return cells
    tally.skip(path, "a last line that was not written to its end")
    return cells.iloc[:-1]


def _edges(path: Path) -> tuple[bytes, bool]:
    """How a file begins, and whether its last line is ended."""
    try:
        with path.open("rb") as file:
            head = file.read(1 << 16)
            file.seek(-1 if head else 0, 2)
            return head, file.read(1) in (b"\n", b"\r")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); give a file that you may read") from None


def _read_text(path: Path, separator: str) -> pd.DataFrame:
    import pandas as pd

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            cells: pd.DataFrame = pd.read_csv(
                path,
                sep=separator,
                dtype=str,
                keep_default_na=False,
                index_col=False,
                encoding="utf-8-sig",
                skipinitialspace=True,
            )
    except (pd.errors.ParserError, pd.errors.ParserWarning, UnicodeDecodeError, ValueError) as error:
        raise DataError(f"{path}: is no CSV table ({' '.join(str(error).split())[:120]}); mend that row") from None
    cells.columns = [str(name).strip() for name in cells.columns]  # as `columns_of` has them
    if cells.columns.has_duplicates:
        repeated = name_some(cells.columns[cells.columns.duplicated()])
        raise DataError(f"{path}: columns {repeated} stand there twice; name each column once")
    return cells


def header_of(path: Path) -> list[str]:
    """Names of the columns of the text table at `path`; none for what is no text."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return columns_of(file.readline(1 << 16))
    except (OSError, UnicodeDecodeError):
        return []


def columns_of(header: str) -> list[str]:
    """Names of the columns in the first line of a text table."""
    found = csv.reader([header.rstrip("\r\n")], delimiter=separator_of(header))
    return [name.strip() for name in next(found, [])]


def separator_of(header: str) -> str:
    """Comma, semicolon or tab, as the first line of a text table shows."""
    return max(",;\t", key=header.count)


def series_of(
    table: pd.DataFrame, names: Iterable[str], time: str, path: Path, seconds: str | None = None
) -> dict[str, Series]:
    """The measured cells of the columns in `names` that are there."""
    t = numbers(table, time, path)
    clock = None if seconds is None or seconds not in table else numbers(table, seconds, path)
    found: dict[str, Series] = {}
    for name in names:
        if name in table:
            measured = ~_blank(table[name])
            y = numbers(table, name, path)[measured]
            found[name] = Series(t[measured], y, None if clock is None else clock[measured])
    return found


def numbers(table: pd.DataFrame, column: str, path: Path) -> npt.NDArray[np.float64]:
    """A column as numbers, NaN where a cell is blank.

    Raises:
        DataError: Names the file, the column and the first cell that is no number.
    """
    import pandas as pd

    values = pd.to_numeric(table[column], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    for i in np.flatnonzero(np.isnan(values) & ~_blank(table[column])):
        if str(table[column].iloc[i]).strip().lower() not in ("nan", "-nan"):
            raise DataError(
                f"{path}: column {column!r} holds {str(table[column].iloc[i])[:40]!r} in row {i + 1}, which is no "
                "number; write numbers, nan or inf"
            )
    return values


def _blank(cells: pd.Series[str]) -> npt.NDArray[np.bool_]:
    return np.asarray(cells.isna() | cells.isin(NOT_MEASURED), dtype=np.bool_)


def files_below(src: Path, *patterns: str) -> Iterator[Path]:
    """`src` itself if it is a file, else the files below it that match, sorted.

    Raises:
        DataError: If there is nothing at `src`.
    """
    if not src.exists():
        raise DataError(f"{src}: there is no such file or folder; give where the logs are")
    if src.is_file():
        yield src
        return
    yield from sorted({path for pattern in patterns for path in src.rglob(pattern) if path.is_file()})


def relative_name(src: Path, path: Path) -> str:
    """What a run is called whose place is `path`: the path below `src`, or the name of `src` itself."""
    below = path.relative_to(src).as_posix()
    return src.resolve().name if below == "." else below
