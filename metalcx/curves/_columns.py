"""Columns of tables that people hand in: which stand there, and which of their cells are blank."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from metalcx.curves._batch import BoolArray
from metalcx.curves._curves import RESERVED
from metalcx.curves._metric import Metric
from metalcx.errors import DataError, name_some


def refuse_unclear(df: pd.DataFrame, metrics: Iterable[Metric], source: str) -> None:
    """Raise where a metric is none, or a column that is read stands there twice."""
    for given in metrics:
        if not isinstance(given, Metric):
            raise DataError(f"metric {given!r:.60} is not declared; give Metric(name, goal), goal being 'max' or 'min'")
    read = {"value", *RESERVED, "t", *(m.name for m in metrics)}
    twice = [name for name in df.columns[df.columns.duplicated()].unique() if name in read]
    if twice:
        raise DataError(f"{source}: columns {name_some(twice)} stand there twice; name each column once")


def not_measured(column: pd.Series[Any]) -> BoolArray:
    """Where a column that was read from a file has a blank cell, which is no divergence as NaN is."""
    if column.dtype != object:
        return np.zeros(len(column), dtype=bool)
    return np.array([cell is pd.NA for cell in column], dtype=bool)
