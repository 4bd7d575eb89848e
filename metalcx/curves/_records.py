"""A table as one dict a row, the same with every pandas."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def records(table: pd.DataFrame) -> list[dict[Hashable, Any]]:
    """One dict a row; of a table without columns too, of which pandas 3.0 gives no rows."""
    return table.to_dict("records") if len(table.columns) else [{} for _ in range(len(table))]
