"""One Parquet file of a corpus: read in pieces, and whatever is damaged is named."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from metalcx.corpora._pages import Chunk, check_pages, row_groups, same_file
from metalcx.errors import CorpusError

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 1 << 17
#: Cells of a table that is read as a whole, at most: a constant column of a billion rows takes a few bytes on disk.
MAX_CELLS = 1 << 28


class TableFile:
    """A Parquet file that is open for reading; memory stays bounded by one batch.

    Args:
        path: The file.

    Raises:
        CorpusError: If it is missing, or no whole Parquet file.
    """

    def __init__(self, path: Path) -> None:
        import pyarrow.parquet as pq

        self.path = path
        # Without pre-buffering and with a read buffer, a row group is streamed page by page: memory
        # does not grow with the size of the row groups that somebody else chose.
        options: dict[str, Any] = {"pre_buffer": False, "buffer_size": 1 << 16, "page_checksum_verification": True}
        with _named(path, "is no whole Parquet file"):
            if not path.is_file():
                raise CorpusError(f"{path}: the file is missing; a corpus folder is complete or it is none")
            self._own = path.open("rb")
            try:
                self._groups = row_groups(self._own)
                self._file = pq.ParquetFile(path, **options)
                if not same_file(self._own, path):
                    raise CorpusError(f"{path}: was replaced while it was being opened; open it again")
            except BaseException:
                self._own.close()
                raise
        counts = [self._file.metadata.row_group(i).num_rows for i in range(self._file.num_row_groups)]
        self.starts: npt.NDArray[np.int64] = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    def __enter__(self) -> TableFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._own.close()

    @property
    def rows(self) -> int:
        """Rows of the file."""
        return int(self.starts[-1])

    @property
    def schema(self) -> pa.Schema:
        """Column names and types."""
        return self._file.schema_arrow

    def groups_with(self, column: str, wanted: npt.NDArray[np.integer[Any]]) -> list[int]:
        """Row groups that may hold one of `wanted` (ascending), by the statistics in the footer."""
        return [g for g, chunks in enumerate(self._groups) if _may_hold(chunks, column, wanted)]

    def batches(
        self, columns: Iterable[str] | None = None, groups: Iterable[int] | None = None, rows: int = BATCH_ROWS
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        """(number of its first row, batch) over the row groups asked for, all of them by default.

        Raises:
            CorpusError: At the first damaged page; names row group, rows and column.
        """
        wanted = None if columns is None else list(columns)
        for group in range(self._file.num_row_groups) if groups is None else groups:
            start = int(self.starts[group])
            for column in wanted or self.schema.names:
                with _named(self.path, "is damaged", lambda g=group, c=column: f"{self._rows_of(g)}, column {c!r}"):
                    check_pages(self._own, group, column)
            source = self._file.iter_batches(rows, row_groups=[group], columns=wanted)
            while True:
                with _named(self.path, "is damaged", lambda group=group: self._damage(group, wanted)):
                    batch = next(source, None)
                    if batch is None:
                        break
                    # Text that is no UTF-8 would be found out by whoever reads it first.
                    batch.validate(full=True)
                yield start, batch
                start += batch.num_rows

    def read(self, columns: Iterable[str] | None = None) -> pa.Table:
        """The whole file, for the small tables; with its own columns by default."""
        import pyarrow as pa

        names = self.schema.names if columns is None else list(columns)
        if self.rows * len(names) > MAX_CELLS:
            raise CorpusError(f"{self.path}: states {self.rows} rows, too many to be read at once; write it in parts")
        schema = pa.schema([self.schema.field(name) for name in names])
        return pa.Table.from_batches([batch.select(names) for _, batch in self.batches(names)], schema=schema)

    def _damage(self, group: int, columns: list[str] | None) -> str:
        """Which column of a row group cannot be read, and which rows it spans."""
        for column in columns or self.schema.names:
            try:
                for batch in self._file.iter_batches(BATCH_ROWS, row_groups=[group], columns=[column]):
                    batch.validate(full=True)
            except read_errors():
                return f"{self._rows_of(group)}, column {column!r}"
        return self._rows_of(group)

    def _rows_of(self, group: int) -> str:
        return f" in rows {self.starts[group]} to {self.starts[group + 1] - 1}"


def _may_hold(chunks: tuple[Chunk, ...], column: str, wanted: npt.NDArray[np.integer[Any]]) -> bool:
    """Whether a column of int32 may hold one of `wanted`; it may where nothing is stated."""
    for chunk in chunks:
        if chunk.column == column and chunk.least is not None and chunk.largest is not None:
            least, largest = (int.from_bytes(end, "little", signed=True) for end in (chunk.least, chunk.largest))
            return bool(np.searchsorted(wanted, least, "left") < np.searchsorted(wanted, largest, "right"))
    return True


def read_errors() -> tuple[type[Exception], ...]:
    """What is raised on a file that is damaged; many of pyarrow's are `ValueError` too."""
    import pyarrow as pa

    return pa.ArrowException, OSError, ValueError


class _named:  # noqa: N801 - reads as a word: `with _named(path, ...)`
    """Turn what pyarrow raises into a `CorpusError` that says where."""

    def __init__(self, path: Path, wrong: str, where: Any = lambda: "") -> None:
        self.path, self.wrong, self.where = path, wrong, where

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, read_errors()) and not isinstance(error, CorpusError):
            if isinstance(error, PermissionError):
                raise CorpusError(f"{self.path}: no permission to read it; ask its owner") from error
            said = str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__
            raise CorpusError(
                f"{self.path}: {self.wrong}{self.where()} ({said}); restore the file or write the corpus again"
            ) from error


def strings(column: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.object_]:
    """A column of text as Python strings, None where empty, shape (rows,)."""
    values = np.empty(len(column), dtype=object)
    values[:] = column.to_pylist()
    return values
