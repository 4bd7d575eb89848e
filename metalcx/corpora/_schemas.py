"""Columns of the tables of a corpus, as they are written."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


def texts(*names: str) -> pa.Schema:
    """Columns of text."""
    import pyarrow as pa

    return pa.schema([(name, pa.string()) for name in names])


def runs_schema() -> pa.Schema:
    """One row a run."""
    import pyarrow as pa

    named = list(texts("name", "task", "arch", "group", "seed", "status", "config"))
    return pa.schema([("run", pa.int32()), *named, ("n_points", pa.int32())])


def points_schema(names: list[str]) -> pa.Schema:
    """One row a point, with a column a metric."""
    import pyarrow as pa

    return pa.schema([("run", pa.int32()), ("t", pa.float64()), *((name, pa.float32()) for name in names)])
