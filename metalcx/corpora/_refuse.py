"""What a corpus is not written over, and runs that it does not take."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from metalcx._json import loads
from metalcx._swap import readable
from metalcx.corpora._format import MANIFEST, MAX_MANIFEST, RUN_STATUSES
from metalcx.curves import Curves, Metric
from metalcx.errors import CorpusError, name_some


def refuse_unless_corpus(path: Path) -> None:
    """Raise unless `path` is free, an empty folder, or a corpus: nothing else is ever overwritten."""
    path = readable(path)
    if not path.exists():
        return
    if not path.is_dir():
        raise CorpusError(f"{path}: is a file; give a folder")
    entries = list(path.iterdir())
    if entries and not _says_corpus(path / MANIFEST):
        raise CorpusError(
            f"{path}: is there and is no corpus; it is not overwritten. Give another folder, or remove it"
        )
    folders = [entry.name for entry in entries if entry.is_dir()]
    if folders:
        raise CorpusError(
            f"{path}: holds folders ({name_some(folders)}), so it is more than a corpus and is not overwritten"
        )


def _says_corpus(manifest: Path) -> bool:
    try:
        if not manifest.is_file() or manifest.stat().st_size > MAX_MANIFEST:
            return False
        said = loads(manifest.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(said, dict) and str(said.get("format")).startswith("metalcx-corpus/")


def refuse_unless_fitting(
    curves: Curves, where: str, metric: str, metrics: Sequence[Metric], value_names: Sequence[str]
) -> None:
    """Raise unless runs may be added to a task: finished, not empty, of its metric, within declared bounds."""
    if metric != curves.metric.name:
        raise CorpusError(
            f"{where} is measured by {metric!r}, these curves by {curves.metric.name!r}; make that their primary metric"
        )
    declared = {m.name: m for m in metrics}
    other = [m.name for m in curves.metrics if m.name in declared and m.goal != declared[m.name].goal]
    unknown = [name for name in curves.values if name not in value_names]
    if other or unknown:
        raise CorpusError(
            f"{where}: {name_some(other or unknown)} not declared so; give the metrics, or seconds=True, to the writer"
        )
    bad = ~np.isin(curves.status.astype(str), RUN_STATUSES)
    if bad.any():
        raise CorpusError(
            f"{where}: runs {name_some(curves.ids[bad])} are still running; "
            "a corpus holds completed, diverged and censored runs"
        )
    empty = curves.length == 0
    if empty.any():
        raise CorpusError(f"{where}: runs {name_some(curves.ids[empty])} have no point; leave them out")
    for name in declared.keys() & curves.values.keys():
        outside = declared[name].outside(curves.values[name])
        if outside.any():
            runs = name_some(np.unique(curves.ids[curves.owner[outside]].astype(str)))
            raise CorpusError(
                f"{where}: {name!r} leaves its declared bounds in runs {runs}; correct the values or the bounds"
            )
