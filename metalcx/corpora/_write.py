"""Write a corpus that fits into memory in one call."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metalcx.corpora._corpus import Corpus
from metalcx.corpora._writer import CorpusWriter
from metalcx.curves import Curves

if TYPE_CHECKING:
    import pandas as pd


def write_corpus(
    path: str | Path,
    tasks: pd.DataFrame,
    curves: Iterable[tuple[str, Curves]],
    architectures: pd.DataFrame | None = None,
    **manifest: Any,
) -> Corpus:
    """Write a whole corpus and open it.

    Args:
        path: The folder; see `CorpusWriter` for what happens to one that is there.
        tasks: One row a task: task, dataset, family, domain, metric, and meta-features.
        curves: (task, its curves), in any number of pieces.
        architectures: One row an architecture: arch, format, and optionally spec, features and graph (JSON text).
        **manifest: The keyword arguments of `CorpusWriter`: name, time_unit, metrics, licence, citation,
            redistributable, and the optional ones.

    Raises:
        CorpusError: As `CorpusWriter` does.
    """
    with CorpusWriter(path, **manifest) as writer:
        for row in tasks.to_dict("records"):
            writer.add_task(**{str(key): value for key, value in row.items()})
        for row in [] if architectures is None else architectures.to_dict("records"):
            # Missing cells of a table come as NaN.
            cells: dict[str, Any] = {str(key): value if isinstance(value, str) else None for key, value in row.items()}
            writer.add_architecture(**cells)
        for task, piece in curves:
            writer.add_runs(task, piece)
    return Corpus.open(path)
