"""Files of a benchmark's folder, each written whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from metalcx._whole import written_whole
from metalcx.errors import DataError

if TYPE_CHECKING:
    import pandas as pd


def write_whole(path: Path, text: str) -> None:
    """Put a text in the place of a file; several processes may do so at once."""
    with written_whole(path) as partial:
        partial.write_text(text, encoding="utf-8")


def claim(path: Path, text: str, complaint: str) -> None:
    """Write down what a folder's parts are of, making the folder if need be, or refuse to mix them with others.

    Raises:
        DataError: With `complaint`, if the file is there and says something else.
    """
    if path.exists() and path.read_text(encoding="utf-8") != text:
        raise DataError(complaint)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, text)


def earlier_rows(
    path: Path, name: str, by: str, tasks: set[str], kept: Callable[[pd.DataFrame], pd.DataFrame]
) -> pd.DataFrame:
    """Rows of a table of an earlier call, to be taken over: each method's are about the same tasks.

    Args:
        path: The table.
        name: How the benchmark calls it, with its article.
        by: Column that names methods.
        tasks: Names of all tasks.
        kept: Of the table, what is taken over.

    Raises:
        DataError: If it is no such table, or about other tasks.
    """
    import pandas as pd

    try:
        rows = kept(pd.read_csv(path))
        same = rows.groupby(by).task.agg(set).map(lambda found: found == tasks).all()
    except (OSError, ValueError, KeyError, AttributeError) as error:
        table = name.partition(" ")[2]
        raise DataError(f"{path}: is no {table} of this benchmark ({error}); give one, or leave it out") from None
    if not same:
        raise DataError(f"{path}: is about other tasks; give {name} of the same ones, or leave it out")
    return rows
