"""Pieces of the corpus writer: a Parquet file that grows row group by row group, and JSON cells."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from metalcx.curves._records import records
from metalcx.errors import CorpusError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


class TableWriter:
    """Append columns; rows are held until a row group is full, or `flush` closes it.

    Args:
        path: The file.
        schema: Its columns.
        group_rows: Rows of a row group at most.
    """

    def __init__(self, path: Path, schema: pa.Schema, group_rows: int) -> None:
        self._path, self._schema, self._group = path, schema, group_rows
        self._parts: list[pa.RecordBatch] = []
        self.held = 0
        self.rows = 0

    def __enter__(self) -> Self:
        import pyarrow.parquet as pq

        # Checksums a page: a flipped bit is found when it is read, and its column named.
        self._file = pq.ParquetWriter(self._path, self._schema, compression="zstd", write_page_checksum=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._parts = []
        self._file.close()

    def add(self, columns: Mapping[str, Any]) -> None:
        """Append rows, one sequence a column."""
        import pyarrow as pa

        arrays = [pa.array(columns[field.name], field.type, from_pandas=False) for field in self._schema]
        batch = pa.RecordBatch.from_arrays(arrays, schema=self._schema)
        self._parts.append(batch)
        self.held += batch.num_rows
        self.rows += batch.num_rows
        if self.held >= self._group:
            self.flush()

    def flush(self) -> None:
        """Write what is held as row groups of its own."""
        import pyarrow as pa

        if self.held:
            self._file.write_table(pa.Table.from_batches(self._parts), row_group_size=self._group)
            self._parts, self.held = [], 0

    def close(self) -> None:
        """Write what is held and the footer."""
        self.flush()
        self._file.close()


def config_texts(config: pd.DataFrame | None, n: int) -> list[str]:
    """One JSON object a run; hyperparameters that are missing (None or NaN) are left out.

    Raises:
        CorpusError: If a value has no JSON form.
    """
    if config is None:
        return ["{}"] * n
    return [
        str(json_text({str(k): _plain(v) for k, v in record.items() if not _is_missing(v)}, f"config of row {row}"))
        for row, record in enumerate(records(config))
    ]


def json_text(value: Mapping[str, Any] | str | None, what: str) -> str | None:
    """`value` as JSON text with sorted keys; text and None as they are."""
    if value is None or isinstance(value, str):
        return value
    try:
        return json.dumps(value, sort_keys=True, allow_nan=False, default=_plain)
    except (TypeError, ValueError) as error:
        raise CorpusError(
            f"{what}: has no JSON form ({error}); use texts, finite numbers, true, false, lists"
        ) from None


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    return value


def _is_missing(value: Any) -> bool:
    import pandas as pd

    return value is None or bool(pd.api.types.is_scalar(value) and pd.isna(value))
